# Finds GCC's OpenMP runtime, the one oneDNN runs on, and defines the target GOMP::GOMP. The versioned name matters:
# clang's own library folder holds a libgomp.so that is LLVM's runtime, and two runtimes mean two thread teams.
find_library(GOMP_LIBRARY NAMES libgomp.so.1)
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(GOMP REQUIRED_VARS GOMP_LIBRARY)
mark_as_advanced(GOMP_LIBRARY)
if(GOMP_FOUND AND NOT TARGET GOMP::GOMP)
  add_library(GOMP::GOMP UNKNOWN IMPORTED)
  set_target_properties(GOMP::GOMP PROPERTIES IMPORTED_LOCATION ${GOMP_LIBRARY})
endif()
