# Installs headers, libraries, the program and the package files that find_package(lazuli) reads.
include(CMakePackageConfigHelpers)

set(LAZULI_PACKAGE_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/lazuli)
set(LAZULI_EXPORTED lazuli lazuli_static)
if(TARGET lazuli_shared)
  list(APPEND LAZULI_EXPORTED lazuli_shared)
endif()

install(DIRECTORY include/ DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(TARGETS ${LAZULI_EXPORTED} EXPORT lazuliTargets)
if(TARGET lazuli_cli)
  install(TARGETS lazuli_cli)
endif()
install(EXPORT lazuliTargets NAMESPACE lazuli:: DESTINATION ${LAZULI_PACKAGE_DIR})
configure_package_config_file(cmake/lazuliConfig.cmake.in ${PROJECT_BINARY_DIR}/lazuliConfig.cmake
                              INSTALL_DESTINATION ${LAZULI_PACKAGE_DIR})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/lazuliConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/lazuliConfig.cmake ${PROJECT_BINARY_DIR}/lazuliConfigVersion.cmake cmake/FindUTF8PROC.cmake
              cmake/FindPCRE2.cmake cmake/FindGOMP.cmake
        DESTINATION ${LAZULI_PACKAGE_DIR})
