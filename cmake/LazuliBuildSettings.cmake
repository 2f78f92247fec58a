# The language level, warnings, sanitizers and tools that every target of the project is built with.

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)

if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "Build type" FORCE)
endif()
# -O2 rather than -O3: the kernels are vectorised by hand, and the rest compiles faster.
if(PROJECT_IS_TOP_LEVEL AND CMAKE_CXX_FLAGS_RELEASE STREQUAL "-O3 -DNDEBUG")
  set(CMAKE_CXX_FLAGS_RELEASE "-O2 -g1 -DNDEBUG")
endif()

find_program(LAZULI_CCACHE ccache)
mark_as_advanced(LAZULI_CCACHE)
if(LAZULI_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${LAZULI_CCACHE})
endif()

add_library(lazuli_settings INTERFACE)
# One rounding per operation everywhere: results must not depend on which compiler chose to contract a product and a sum.
target_compile_options(lazuli_settings INTERFACE -Wall -Wextra -Wpedantic -Wconversion -Wshadow -fno-math-errno -ffp-contract=off)
if(LAZULI_WERROR)
  target_compile_options(lazuli_settings INTERFACE -Werror)
endif()
if(LAZULI_SANITIZE)
  target_compile_definitions(lazuli_settings INTERFACE LAZULI_FEW_TARGETS=1 LAZULI_NO_SLAB=1)
  target_compile_options(lazuli_settings INTERFACE -fsanitize=${LAZULI_SANITIZE} -fno-omit-frame-pointer)
  target_link_options(lazuli_settings INTERFACE -fsanitize=${LAZULI_SANITIZE})
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # GCC reports the sanitizer's own temporaries in standard headers.
    target_compile_options(lazuli_settings INTERFACE -Wno-maybe-uninitialized -Wno-array-bounds)
  endif()
  if(LAZULI_SANITIZE MATCHES "undefined")
    target_compile_options(lazuli_settings INTERFACE -fno-sanitize-recover=undefined)
  endif()
endif()
find_program(LAZULI_MOLD mold)
mark_as_advanced(LAZULI_MOLD)
if(LAZULI_MOLD)
  target_link_options(lazuli_settings INTERFACE -fuse-ld=mold)
endif()

# The headers that a user of the library sees.
function(lazuli_public_interface target)
  target_include_directories(${target} INTERFACE $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>
                                                 $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
  target_compile_features(${target} INTERFACE cxx_std_20)
endfunction()

# A program of this project: links the whole static library and may include internal headers.
function(lazuli_program target)
  target_include_directories(${target} PRIVATE ${PROJECT_SOURCE_DIR}/src)
  target_link_libraries(${target} PRIVATE lazuli lazuli_settings fmt::fmt nlohmann_json::nlohmann_json simdjson::simdjson hwy::hwy
                                          DNNL::dnnl)
endfunction()
