// Defines the typed errors that every part of Lazuli throws.
#pragma once

#include <stdexcept>
#include <string>

/// The namespace of the library.
namespace lazuli {

/// Base of all errors of this library; `what()` names the op or file and says what was expected.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Shapes do not fit an op: wrong rank, inner dimensions differ, axis out of range.
class ShapeError : public Error {
 public:
  using Error::Error;
};

/// A dtype is not allowed for an op, or data was read as another dtype.
class DTypeError : public Error {
 public:
  using Error::Error;
};

/// A file does not follow its format; names the file and, where known, the tensor and offset.
class FormatError : public Error {
 public:
  using Error::Error;
};

/// The operating system refused to read or write; names the path and the reason.
class IoError : public Error {
 public:
  using Error::Error;
};

/// A device or its driver failed or is missing.
class DeviceError : public Error {
 public:
  using Error::Error;
};

/// A request needs more memory than there is or than the limit allows; says how much.
class OutOfMemory : public Error {
 public:
  using Error::Error;
};

/// A graph is not well formed: cycle, invalid dependency, use of a donated value.
class GraphError : public Error {
 public:
  using Error::Error;
};

/// An argument other than a shape or dtype is out of its range; names it and the range.
class ValueError : public Error {
 public:
  using Error::Error;
};

}  // namespace lazuli
