# Installs the program and shared library (component runtime), and headers, static library and the files that find_package(lazuli) reads
# (component dev); CPack makes a Debian package of each.
include(CMakePackageConfigHelpers)

set(LAZULI_PACKAGE_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/lazuli)
set(LAZULI_EXPORTED lazuli lazuli_static)
if(TARGET lazuli_shared)
  list(APPEND LAZULI_EXPORTED lazuli_shared)
endif()

install(DIRECTORY include/ DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT dev)
install(TARGETS ${LAZULI_EXPORTED} EXPORT lazuliTargets ARCHIVE COMPONENT dev LIBRARY COMPONENT runtime NAMELINK_COMPONENT dev)
if(TARGET lazuli_cli)
  install(TARGETS lazuli_cli RUNTIME COMPONENT runtime)
endif()
install(EXPORT lazuliTargets NAMESPACE lazuli:: DESTINATION ${LAZULI_PACKAGE_DIR} COMPONENT dev)
configure_package_config_file(cmake/lazuliConfig.cmake.in ${PROJECT_BINARY_DIR}/lazuliConfig.cmake
                              INSTALL_DESTINATION ${LAZULI_PACKAGE_DIR})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/lazuliConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/lazuliConfig.cmake ${PROJECT_BINARY_DIR}/lazuliConfigVersion.cmake cmake/FindUTF8PROC.cmake
              cmake/FindPCRE2.cmake cmake/FindGOMP.cmake
        DESTINATION ${LAZULI_PACKAGE_DIR} COMPONENT dev)

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME lazuli)
set(CPACK_PACKAGE_CONTACT "The Lazuli authors <lazuli@localhost>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "${PROJECT_DESCRIPTION}")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_COMPONENTS_ALL runtime dev)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_RUNTIME_PACKAGE_NAME lazuli)
set(CPACK_DEBIAN_RUNTIME_PACKAGE_SECTION science)
set(CPACK_DEBIAN_DEV_PACKAGE_NAME liblazuli-dev)
set(CPACK_DEBIAN_DEV_PACKAGE_SECTION libdevel)
# What the static library and the package files of CMake link against.
set(CPACK_DEBIAN_DEV_PACKAGE_DEPENDS
    "lazuli (= ${PROJECT_VERSION}), libdnnl-dev, ocl-icd-opencl-dev, libhwy-dev, libutf8proc-dev, libpcre2-dev, libsimdjson-dev, libfmt-dev")
include(CPack)
