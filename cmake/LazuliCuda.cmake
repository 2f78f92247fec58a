# The CUDA backend: the texts of its kernels become part of the library; the shared object that talks to the driver, NVRTC and cuBLASLt is
# built where a CUDA toolkit is.
option(LAZULI_CUDA "Build the library of the CUDA backend where a CUDA toolkit is found" ON)

file(GLOB LAZULI_KERNEL_FILES CONFIGURE_DEPENDS src/backend/cuda/kernels/*.cu)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${LAZULI_KERNEL_FILES})
set(LAZULI_KERNEL_TEXTS "")
foreach(path ${LAZULI_KERNEL_FILES})
  get_filename_component(name ${path} NAME_WE)
  file(READ ${path} text)
  string(APPEND LAZULI_KERNEL_TEXTS "    {\"${name}\", R\"kernel(${text})kernel\"},\n")
endforeach()
set(LAZULI_KERNEL_SOURCE ${PROJECT_BINARY_DIR}/generated/kernel_files.cc)
file(CONFIGURE OUTPUT ${LAZULI_KERNEL_SOURCE} @ONLY CONTENT [=[
// The texts of src/backend/cuda/kernels, by file name.
#include <string>
#include <string_view>
#include <utility>

#include "backend/cuda/launch.h"
#include "lazuli/error.h"

namespace lazuli::cuda {

namespace {

constexpr std::pair<std::string_view, std::string_view> kFiles[] = {
@LAZULI_KERNEL_TEXTS@};

}  // namespace

std::string_view kernel_file(std::string_view name) {
  for (const auto& [file, text] : kFiles) {
    if (file == name) return text;
  }
  throw GraphError("no kernel text is called " + std::string(name));
}

}  // namespace lazuli::cuda
]=])
target_sources(lazuli_objects PRIVATE ${LAZULI_KERNEL_SOURCE})

# Where the program finds that library once both are installed.
set_source_files_properties(src/backend/cuda/library.cc PROPERTIES COMPILE_DEFINITIONS "LAZULI_LIBRARY_DIR=\"${CMAKE_INSTALL_LIBDIR}\"")

if(LAZULI_CUDA)
  find_package(CUDAToolkit 12.4 QUIET)
endif()
if(TARGET CUDA::nvrtc AND TARGET CUDA::cublasLt)
  file(GLOB LAZULI_CUDA_SOURCES CONFIGURE_DEPENDS src/backend/cuda/library/*.cc)
  add_library(lazuli_cuda MODULE ${LAZULI_CUDA_SOURCES})
  set_target_properties(lazuli_cuda PROPERTIES LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bin CXX_VISIBILITY_PRESET hidden)
  target_include_directories(lazuli_cuda PRIVATE src)
  target_include_directories(lazuli_cuda SYSTEM PRIVATE ${CUDAToolkit_INCLUDE_DIRS})
  # Driver, NVRTC and cuBLASLt are opened at run time, so that a package needs none of them.
  target_link_libraries(lazuli_cuda PRIVATE lazuli_settings ${CMAKE_DL_LIBS})
  install(TARGETS lazuli_cuda LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}/lazuli COMPONENT runtime)
  message(STATUS "CUDA backend: built with toolkit ${CUDAToolkit_VERSION}")
else()
  message(STATUS "CUDA backend: left out, no CUDA toolkit with nvrtc and cublasLt was found")
endif()
