#!/usr/bin/env bash
# A walk through the API: logs in, makes a team of agents and a circle, brings a task into
# every state, and shows the result.  Needs curl and jq.
#
#   GATHERING_URL=http://127.0.0.1:8000 ADMIN_EMAIL=… ADMIN_PASSWORD=… examples/walk.sh
set -euo pipefail

url=${GATHERING_URL:-http://127.0.0.1:8000}
email=${ADMIN_EMAIL:-admin@localhost}
password=${ADMIN_PASSWORD:?set ADMIN_PASSWORD to the password that gathering serve printed at its first start}
circle=${CIRCLE:-walk-$(date +%s)}

say() { printf '\n== %s\n' "$*"; }

# api METHOD PATH [JSON]: prints the answer's body; fails on any other status than 2xx.
api() {
  local method=$1 path=$2
  # Over the limit of writes curl waits for as long as Retry-After says.
  local arguments=(--silent --show-error --fail-with-body --retry 3 --request "$method" "$url$path"
                   --header "Authorization: Bearer $token" --header 'Content-Type: application/json')
  [ $# -gt 2 ] && arguments+=(--data "$3")
  curl "${arguments[@]}"
}

# agent NAME ROLE COMPETENCY…: creates an agent and prints its id.
agent() {
  local name=$1 role=$2
  shift 2
  api POST /agents "$(jq -n --arg name "$name" --arg role "$role" \
    '{persona: {name: $name, role: $role, specializations: $ARGS.positional}}' --args "$@")" | jq .id
}

# join ID NAME COMPETENCIES: makes an agent a member of the circle.
join() {
  api POST "/circles/$circle/agents?agent_id=$1&agent_name=$2&competencies=$3&can_review=quality" | jq -c .
}

# task TITLE COMPETENCY: creates a task and prints its id.
task() {
  api POST "/circles/$circle/tasks" "$(jq -n --arg title "$1" --arg competency "$2" \
    '{title: $title, required_competencies: [$competency], priority: "high"}')" | jq .id
}

say "log in"
token=$(curl --silent --show-error --fail-with-body "$url/auth/login" \
  --data-urlencode "username=$email" --data-urlencode "password=$password" | jq -r .access_token)
api GET /auth/me | jq -c .

say "a team of three"
ada=$(agent Ada Architect architecture python)
bob=$(agent Bob Developer python sql)
cleo=$(agent Cleo Tester testing)
api GET /agents | jq -r '.agents[] | "\(.id)\t\(.name)\t\(.role)\t\(.competencies | join(","))"'

say "the circle $circle"
api POST /circles "$(jq -n --arg name "$circle" '{name: $name, require_review: true, auto_route: true}')" | jq -c '{name, status}'
join "$ada" Ada architecture,python
join "$bob" Bob python,sql
join "$cleo" Cleo testing
api POST "/circles/$circle/start" | jq -c .

say "tasks: one pending (nobody knows Rust), the others routed by competency"
pending=$(task "Port the parser to Rust" rust)
approved=$(task "Design the schema" sql)
rejected=$(task "Write the parser" python)
waiting=$(task "Test the parser" testing)
assigned=$(task "Draw the architecture" architecture)

say "results are submitted, one is approved, one sent back, one waits for its review"
for id in "$approved" "$rejected" "$waiting"; do
  api POST "/circles/$circle/tasks/$id/submit" '{"result": "done", "files_modified": ["task-'"$id"'.md"]}' | jq -c '{id, status}'
done
api POST "/circles/$circle/tasks/$approved/approve?reviewer_id=$ada&comments=good" | jq -c .
api POST "/circles/$circle/tasks/$rejected/reject?reviewer_id=$cleo&reason=tests+are+missing" | jq -c .

say "every state at a glance (pending $pending, assigned $assigned)"
api GET "/circles/$circle/tasks" | jq -r '.tasks[] | "\(.id)\t\(.status)\t\(.assigned_agent_name // "-")\t\(.title)"'
api GET "/circles/$circle" | jq '{name, status, agent_count, task_count, active_tasks, pending_tasks, completed_tasks}'
api GET "/circles/$circle/metrics" | jq -c '.agents[]'

say "log out: the token is refused from now on"
api POST /auth/logout | jq -c .message
status=$(curl --silent --output /dev/null --write-out '%{http_code}' "$url/auth/me" --header "Authorization: Bearer $token")
echo "GET /auth/me with the old token: $status"
[ "$status" = 401 ]
