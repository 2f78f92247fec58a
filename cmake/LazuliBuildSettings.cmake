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
  target_compile_definitions(lazuli_settings INTERFACE LAZULI_FEW_TARGETS=1 LAZULI_NO_SLAB=1 _GLIBCXX_ASSERTIONS)
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

# For a program that is built once, where it runs, and wanted soon. The tests try every target, so they are not for this.
option(LAZULI_NATIVE "Compile kernels for this machine's processor alone" OFF)
if(LAZULI_NATIVE)
  if(LAZULI_TESTS)
    message(FATAL_ERROR "LAZULI_NATIVE leaves out what the tests try: set LAZULI_TESTS=OFF")
  endif()
  target_compile_definitions(lazuli_settings INTERFACE HWY_COMPILE_ONLY_STATIC)
  if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64)$")
    include(CheckCXXSourceRuns)
    function(lazuli_processor_has variable)
      string(REGEX REPLACE "([a-z0-9]+)" "__builtin_cpu_supports(\"\\1\")" features "${ARGN}")
      string(REPLACE ";" " && " features "${features}")
      check_cxx_source_runs("int main() { return ${features} ? 0 : 1; }" ${variable})
    endfunction()
    lazuli_processor_has(LAZULI_PROCESSOR_HAS_AVX2 avx2 fma bmi bmi2 pclmul aes)
    lazuli_processor_has(LAZULI_PROCESSOR_HAS_AVX512 avx512f avx512bw avx512dq avx512vl avx512cd)
    # The levels that each_target.h chooses from, by the compiler's names.
    if(LAZULI_PROCESSOR_HAS_AVX2 AND LAZULI_PROCESSOR_HAS_AVX512)
      target_compile_options(lazuli_settings INTERFACE -march=x86-64-v4 -mpclmul -maes)
    elseif(LAZULI_PROCESSOR_HAS_AVX2)
      target_compile_options(lazuli_settings INTERFACE -march=x86-64-v3 -mpclmul -maes)
    endif()
  endif()
endif()

# A unit for every dozen files of a folder reads the headers once for all of them: a whole build takes less than half of the time, a build
# after a small change longer. Kernels for several targets include themselves again and again, and others change the target of what follows,
# so each stays alone, as do the files that have a name in common with another one of their folder.
option(LAZULI_UNITY "Compile several files of a folder as one" OFF)
if(LAZULI_UNITY AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # A type of a file's own may use its anonymous namespace; GCC takes an included file for a header.
  target_compile_options(lazuli_settings INTERFACE -Wno-subobject-linkage)
endif()
set(LAZULI_ALONE
    src/backend/cpu/attention/sdpa_operands.cc src/backend/cpu/tiles/tile_io.cc src/backend/cuda/linear_cross_entropy.cc
    src/base/trace.cc src/text/tokenizer/added_tokens.cc src/text/tokenizer/load_normalizer.cc
    src/text/tokenizer/load_pre_tokenizer.cc src/text/tokenizer/unicode.cc src/models/mpnet.cc src/nn/adapter_targets.cc
    tests/backend/cpu_gemm_test.cc tests/backend/cpu_packed_weight_test.cc tests/conformance/special_test.cc
    tests/cli/classify_command_test.cc tests/graph/graph_builder_test.cc tests/graph/ops_refusals_test.cc tests/graph/shape_rules_test.cc)
function(lazuli_unity target)
  if(NOT LAZULI_UNITY)
    return()
  endif()
  set_target_properties(${target} PROPERTIES UNITY_BUILD ON UNITY_BUILD_MODE GROUP)
  get_target_property(sources ${target} SOURCES)
  foreach(source IN LISTS sources)
    file(STRINGS ${source} target_loop REGEX "backend/cpu/[a-z]+/(each_target|vnni).h" LIMIT_COUNT 1)
    file(RELATIVE_PATH path ${PROJECT_SOURCE_DIR} ${source})
    if(target_loop OR path IN_LIST LAZULI_ALONE)
      continue()
    endif()
    get_filename_component(folder ${path} DIRECTORY)
    string(MAKE_C_IDENTIFIER ${folder} folder)
    if(NOT DEFINED count_${folder})
      set(count_${folder} 0)
    endif()
    math(EXPR unit "${count_${folder}} / 12")
    math(EXPR count_${folder} "${count_${folder}} + 1")
    set_source_files_properties(${source} PROPERTIES UNITY_GROUP ${folder}_${unit})
  endforeach()
endfunction()

# The headers that a user of the library sees.
function(lazuli_public_interface target)
  target_include_directories(${target} INTERFACE $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>
                                                 $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
  target_compile_features(${target} INTERFACE cxx_std_20)
endfunction()

# A program of this project: links the whole static library and may include internal headers.
function(lazuli_program target)
  target_include_directories(${target} PRIVATE ${PROJECT_SOURCE_DIR}/src ${LAZULI_GENERATED})
  target_link_libraries(${target} PRIVATE lazuli lazuli_settings fmt::fmt simdjson::simdjson hwy::hwy DNNL::dnnl)
endfunction()
