# Sourced by the tests of this directory: counts what holds and what does not.

passed=0 failed=0

# check FACT COMMAND...: the command succeeds.  What it says is shown when it does not.
check() {
  local fact=$1 said
  shift
  if said=$("$@" 2>&1); then
    passed=$((passed + 1))
    echo "ok      $fact"
  else
    failed=$((failed + 1))
    echo "FAILED  $fact"
    printf '%s\n' "$said" | sed 's/^/          /'
  fi
}

# The opposite: the command fails.
refuses() { ! "$@"; }

# The last line of a test; its exit code says whether all held.
conclude() {
  echo "$passed passed, $failed failed"
  [ "$failed" -eq 0 ]
}
