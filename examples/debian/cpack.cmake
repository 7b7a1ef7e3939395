# Read by cpack before it packs: only a build that was meant to be a package becomes one.
if(NOT CPACK_INSTALL_PREFIX STREQUAL "/usr")
  message(FATAL_ERROR "This build is for ${CPACK_INSTALL_PREFIX}; pack the preset `package`, which is for /usr: "
                      "cmake --workflow --preset package")
endif()
