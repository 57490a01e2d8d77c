# Installs the tools, the plugin library, the runtime and the headers as the CMake package MoEC. Headers keep their
# paths below include/moec, so that sources outside the repository include them by the same names as those inside.
include(CMakePackageConfigHelpers)
include(GNUInstallDirs)

get_property(tools GLOBAL PROPERTY MOEC_TOOLS)
install(TARGETS ${tools} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
target_include_directories(moert INTERFACE "$<INSTALL_INTERFACE:include/moec>")
install(TARGETS MoEPlugin moert EXPORT MoECTargets LIBRARY DESTINATION lib)
# Opened at run time from the folder of the runtime.
foreach(plugin IN ITEMS moert_mpi moert_nccl moe_emulated_cuda)
  if(TARGET ${plugin})
    install(TARGETS ${plugin} LIBRARY DESTINATION lib)
  endif()
endforeach()

foreach(root IN ITEMS "${CMAKE_SOURCE_DIR}" "${CMAKE_BINARY_DIR}")
  install(DIRECTORY "${root}/dialects" "${root}/passes" DESTINATION include/moec
    FILES_MATCHING PATTERN "*.h" PATTERN "*.h.inc" PATTERN "*.td"
    PATTERN "CMakeFiles" EXCLUDE)
endforeach()
install(FILES compiler/Register.h DESTINATION include/moec/compiler)
install(FILES runtime/moe_runtime.h DESTINATION include/moec/runtime)

set(package lib/cmake/MoEC)
configure_package_config_file(cmake/MoECConfig.cmake.in MoECConfig.cmake INSTALL_DESTINATION ${package})
write_basic_package_version_file(MoECConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES "${CMAKE_CURRENT_BINARY_DIR}/MoECConfig.cmake" "${CMAKE_CURRENT_BINARY_DIR}/MoECConfigVersion.cmake"
  DESTINATION ${package})
install(EXPORT MoECTargets NAMESPACE MoEC:: DESTINATION ${package})
