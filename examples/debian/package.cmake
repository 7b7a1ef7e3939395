# The Debian package: what `cpack` of the preset `package` makes, and what makes `cmake --install` put into place
# besides the program.  There are two packages: gathering, and gathering-dbgsym for debuggers.
#
#   cmake --workflow --preset package       configures, builds and packs; the packages lie in build/package

set(DEBIAN_DIR ${CMAKE_CURRENT_LIST_DIR})
set(DEBIAN_BUILD_DIR ${PROJECT_BINARY_DIR}/debian)
set(GATHERING_MAINTAINER "The gathering authors <gathering@packages.invalid>" CACHE STRING
    "Who answers for the packages that are built here, as Name <address>")
find_program(GZIP gzip REQUIRED)

# gzip_file(RESULT SOURCE NAME): the path of NAME.gz, made of SOURCE at build time; the same input, the same bytes.
function(gzip_file result source name)
  add_custom_command(OUTPUT ${DEBIAN_BUILD_DIR}/${name}.gz
    COMMAND ${GZIP} -9nc ${source} > ${DEBIAN_BUILD_DIR}/${name}.gz
    DEPENDS ${source} COMMENT "Compressing ${name}" VERBATIM)
  set(${result} ${DEBIAN_BUILD_DIR}/${name}.gz PARENT_SCOPE)
endfunction()

# --- what has another source -----------------------------------------------------------------------
# The licence, as machines read it.
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS LICENSE)
file(STRINGS LICENSE LICENSE_LINES)
list(FILTER LICENSE_LINES INCLUDE REGEX "^Copyright")
list(GET LICENSE_LINES 0 COPYRIGHT_LINE)
string(REGEX REPLACE "^Copyright \\(c\\) " "" COPYRIGHT_HOLDER "${COPYRIGHT_LINE}")
file(READ LICENSE LICENSE_TEXT)
string(REGEX REPLACE "^.*${COPYRIGHT_HOLDER}\n\n" "" LICENSE_TEXT "${LICENSE_TEXT}")
string(REGEX REPLACE "\n\n" "\n.\n" LICENSE_TEXT "${LICENSE_TEXT}")
string(STRIP "${LICENSE_TEXT}" LICENSE_TEXT)
string(REPLACE "\n" "\n " LICENSE_TEXT "${LICENSE_TEXT}")
configure_file(${DEBIAN_DIR}/copyright.in ${DEBIAN_BUILD_DIR}/copyright @ONLY)

# The changelog, in Debian's form.
add_custom_command(OUTPUT ${DEBIAN_BUILD_DIR}/changelog
  COMMAND ${DEBIAN_DIR}/changelog.sh ${PROJECT_NAME} ${PROJECT_VERSION} "${GATHERING_MAINTAINER}"
          < ${PROJECT_SOURCE_DIR}/CHANGELOG.md > ${DEBIAN_BUILD_DIR}/changelog
  DEPENDS ${DEBIAN_DIR}/changelog.sh ${PROJECT_SOURCE_DIR}/CHANGELOG.md
  COMMENT "Writing Debian's changelog" VERBATIM)
gzip_file(CHANGELOG_GZ ${DEBIAN_BUILD_DIR}/changelog changelog)

set(PAGES_1)
foreach(page IN LISTS GATHERING_PAGES)
  get_filename_component(name ${page} NAME)
  gzip_file(compressed ${page} ${name})
  list(APPEND PAGES_1 ${compressed})
endforeach()
gzip_file(PAGE_5 ${PROJECT_SOURCE_DIR}/man/gathering.toml.5 gathering.toml.5)
add_custom_target(installed_documents ALL DEPENDS ${PAGES_1} ${PAGE_5} ${CHANGELOG_GZ})

# --- install ---------------------------------------------------------------------------------------
install(FILES ${PAGES_1} DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
install(FILES ${PAGE_5} DESTINATION ${CMAKE_INSTALL_MANDIR}/man5)
install(FILES ${CHANGELOG_GZ} ${DEBIAN_BUILD_DIR}/copyright ${DEBIAN_DIR}/README.Debian
        DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(FILES ${DEBIAN_DIR}/gathering.toml DESTINATION ${CMAKE_INSTALL_FULL_SYSCONFDIR}/gathering)

# --- pack ------------------------------------------------------------------------------------------
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME ${PROJECT_NAME})
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(CPACK_PACKAGE_CONTACT "${GATHERING_MAINTAINER}")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "multi-agent backend: circles of agents and their tasks over HTTP")
set(CPACK_PACKAGE_DESCRIPTION [[
Agents work in circles on tasks. The daemon answers an HTTP API with events,
Server-Sent Events and WebSockets on PostgreSQL, one that it keeps itself or
one elsewhere; with Redis, rate limits hold for all daemons together.
.
The same program migrates the schema, measures the database, shows the caches
of a running daemon, and replays the log of events.]])
set(CPACK_SET_DESTDIR ON)  # the configuration is outside the prefix
set(CPACK_STRIP_FILES OFF)  # what is stripped goes to gathering-dbgsym
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_COMPRESSION_TYPE gzip)  # xz takes a minute for the symbols
set(CPACK_DEBIAN_PACKAGE_SECTION net)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_DEPENDS "systemd | systemd-standalone-sysusers | systemd-sysusers")
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS postgresql)
set(CPACK_DEBIAN_PACKAGE_SUGGESTS "redis-server, prometheus")
set(CPACK_DEBIAN_DEBUGINFO_PACKAGE ON)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA
    ${DEBIAN_DIR}/conffiles ${DEBIAN_DIR}/postinst ${DEBIAN_DIR}/prerm ${DEBIAN_DIR}/postrm)
set(CPACK_POST_BUILD_SCRIPTS ${DEBIAN_DIR}/dbgsym.cmake)
set(CPACK_PROJECT_CONFIG_FILE ${DEBIAN_DIR}/cpack.cmake)
include(CPack)
