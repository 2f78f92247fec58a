# The target lazuli_odr fails where two files of the program define different types of the same name (-Wodr). Only the linker sees such files
# together, so they are compiled for it to read (-flto), without optimisation, and put together without making code.
option(LAZULI_ODR "Make the target lazuli_odr, which compares types across files" OFF)
if(LAZULI_ODR)
  if(NOT CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    message(FATAL_ERROR "LAZULI_ODR needs GCC: other compilers do not compare types when they link")
  endif()
  add_library(lazuli_odr_objects OBJECT EXCLUDE_FROM_ALL ${LAZULI_SOURCES} ${LAZULI_KERNEL_SOURCE} ${LAZULI_CLI_SOURCES})
  target_include_directories(lazuli_odr_objects PRIVATE include src ${LAZULI_GENERATED})
  target_link_libraries(lazuli_odr_objects PRIVATE lazuli_settings ${LAZULI_DEPENDENCIES})
  target_compile_options(lazuli_odr_objects PRIVATE -flto -fno-fat-lto-objects)
  lazuli_unity(lazuli_odr_objects)
  add_custom_target(
    lazuli_odr
    COMMAND ${CMAKE_CXX_COMPILER} -flto=1 -O0 -r -flinker-output=rel -Wodr -Wlto-type-mismatch -Werror $<TARGET_OBJECTS:lazuli_odr_objects>
            -o ${CMAKE_CURRENT_BINARY_DIR}/lazuli_odr.o
    DEPENDS $<TARGET_OBJECTS:lazuli_odr_objects>
    COMMENT "Comparing types across files"
    COMMAND_EXPAND_LISTS VERBATIM)
endif()
