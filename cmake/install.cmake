# SPDX-License-Identifier: MPL-2.0
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

add_library(parley_all INTERFACE)
add_library(parley::parley ALIAS parley_all)
set_target_properties(parley_all PROPERTIES EXPORT_NAME parley)
target_link_libraries(parley_all INTERFACE parley_patterns)

get_property(modules GLOBAL PROPERTY PARLEY_MODULES)
install(TARGETS ${modules} parley_all EXPORT parley-targets FILE_SET HEADERS)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/parley)
install(EXPORT parley-targets NAMESPACE parley:: DESTINATION ${package_dir})
configure_package_config_file(cmake/parley-config.cmake.in parley-config.cmake
                              INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(parley-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/parley-config.cmake
              ${CMAKE_CURRENT_BINARY_DIR}/parley-config-version.cmake
              cmake/dependencies.cmake
        DESTINATION ${package_dir})
