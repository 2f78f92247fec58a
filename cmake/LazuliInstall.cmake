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
  if(NOT CMAKE_CROSSCOMPILING)
    # The program writes its own manual and completions.
    set(LAZULI_SHARE ${PROJECT_BINARY_DIR}/share)
    add_custom_command(
      OUTPUT ${LAZULI_SHARE}/man1/lazuli.1
      COMMAND ${CMAKE_COMMAND} -E rm -rf ${LAZULI_SHARE}
      COMMAND lazuli_cli man --output ${LAZULI_SHARE}/man1
      COMMAND lazuli_cli completion bash --output ${LAZULI_SHARE}/lazuli
      COMMAND lazuli_cli completion zsh --output ${LAZULI_SHARE}/_lazuli
      COMMAND lazuli_cli completion fish --output ${LAZULI_SHARE}/lazuli.fish
      DEPENDS lazuli_cli
      COMMENT "Writing manual pages and completions"
      VERBATIM)
    add_custom_target(lazuli_manual ALL DEPENDS ${LAZULI_SHARE}/man1/lazuli.1)
    install(DIRECTORY ${LAZULI_SHARE}/man1/ DESTINATION ${CMAKE_INSTALL_MANDIR}/man1 COMPONENT runtime)
    install(FILES ${LAZULI_SHARE}/lazuli DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions COMPONENT runtime)
    install(FILES ${LAZULI_SHARE}/_lazuli DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/site-functions COMPONENT runtime)
    install(FILES ${LAZULI_SHARE}/lazuli.fish DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d COMPONENT runtime)
  endif()
endif()
install(EXPORT lazuliTargets NAMESPACE lazuli:: DESTINATION ${LAZULI_PACKAGE_DIR} COMPONENT dev)
configure_package_config_file(cmake/lazuliConfig.cmake.in ${PROJECT_BINARY_DIR}/lazuliConfig.cmake
                              INSTALL_DESTINATION ${LAZULI_PACKAGE_DIR})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/lazuliConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/lazuliConfig.cmake ${PROJECT_BINARY_DIR}/lazuliConfigVersion.cmake cmake/FindUTF8PROC.cmake
              cmake/FindPCRE2.cmake
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
