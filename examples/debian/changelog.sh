#!/bin/sh
# Writes CHANGELOG.md, which it reads, in the form of a Debian changelog.
#
#   changelog.sh PACKAGE VERSION 'NAME <ADDRESS>' < CHANGELOG.md
#
# A section is a version ("## 0.2.0 - 2026-12-01", "## Unreleased"), each of its bullets one entry; a section
# without any is left out.  What is not released yet has the version being built and the time of SOURCE_DATE_EPOCH,
# or now.
set -eu
package=$1 version=$2 maintainer=$3

now=$(LC_ALL=C date -u -R ${SOURCE_DATE_EPOCH:+-d "@$SOURCE_DATE_EPOCH"})
LC_ALL=C.UTF-8 awk -v package="$package" -v version="$version" -v maintainer="$maintainer" -v now="$now" '
  # One entry, in lines of 78 columns.
  function close_entry(   words, count, i, line) {
    count = split(entry, words, " ")
    line = "  *"
    for (i = 1; i <= count; ++i) {
      if (length(line) + 1 + length(words[i]) > 78 && i > 1) { print line; line = "   " }
      line = line " " words[i]
    }
    if (count > 0) print line
    entry = ""
  }
  function close_section() { close_entry(); if (open) printf "\n -- %s  %s\n\n", maintainer, date }
  function rfc_date(day,   command, line) {
    command = "LC_ALL=C date -u -R -d " day
    if ((command | getline line) <= 0) { print "changelog.sh: not a date: " day > "/dev/stderr"; failed = 1; exit }
    close(command)
    return line
  }
  /^## / {
    close_section()
    open = 0
    name = $2 == "Unreleased" ? version : $2
    date = $2 == "Unreleased" ? now : rfc_date($4)
    next
  }
  name != "" && /^- / {
    if (!open) printf "%s (%s) unstable; urgency=medium\n\n", package, name
    open = sections = 1
    close_entry()
    entry = substr($0, 3)
    next
  }
  entry != "" && /^  / { entry = entry " " $0; next }
  { close_entry() }
  END {
    if (failed) exit 1
    close_section()
    if (!sections) {
      print "changelog.sh: no bullets below \"## VERSION - DATE\" or \"## Unreleased\"" > "/dev/stderr"
      exit 1
    }
  }
'
