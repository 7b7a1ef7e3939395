#include "core/limits/redis_script.h"

#include <openssl/evp.h>

#include <array>

#include <fmt/format.h>

namespace gathering::limits {
namespace {

constexpr std::string_view kDecide = R"lua(
local window = ARGV[1] == 'window'
local cost = tonumber(ARGV[2])
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local old = {}
for number in string.gmatch(redis.call('GET', KEYS[1]) or '', '%S+') do old[#old + 1] = tonumber(number) end
local passed = math.max(0, now - (old[1] or now))
local assumed_until = old[2] or 0
local settled = now >= assumed_until
local rates = {}
local allowed, write = true, false
for i = 1, (#ARGV - 2) / 6 do
  local rate = {burst = tonumber(ARGV[6 * i - 3]), interval = tonumber(ARGV[6 * i - 2]),
                period = tonumber(ARGV[6 * i - 1]), count = 0, place = i}
  local debt, assume, least = tonumber(ARGV[6 * i]), tonumber(ARGV[6 * i + 1]), tonumber(ARGV[6 * i + 2])
  local ahead = math.max(0, (old[4 * i - 1] or 0) - passed)
  local unit, count, assumed = old[4 * i] or 0, 0, 0
  if ahead > 0 then count, assumed = old[4 * i + 1] or 0, old[4 * i + 2] or 0 end
  rate.cost = math.min(cost, rate.burst)
  rate.span = window and rate.period or rate.burst * rate.interval
  if window and ahead > 0 and unit > 0 then
    count = math.ceil(ahead / unit - 0.000001)
    ahead = rate.period
  elseif not window and ahead > 0 and unit ~= rate.interval then
    if unit == 0 then ahead = count * rate.interval else ahead = ahead / unit * rate.interval end
    ahead = math.min(rate.span, ahead)
  end
  local spent = window and math.min(count, 2 * rate.burst) or ahead / rate.interval
  assumed = math.min(assumed, spent)
  if settled then
    spent = spent - assumed
    assumed = 0
  end
  local foreseen = math.min(assumed, debt)
  spent = math.min(2 * rate.burst, spent + debt - foreseen)
  local more = math.max(0, math.min(assume, rate.burst) - spent)
  spent = spent + more
  rate.assumed = assumed - foreseen + more
  if more > 0 then assumed_until = now + 1000000 end
  if debt > 0 or least > 0 then write = true end
  if window then
    if least > ahead then spent = math.max(spent, rate.burst) end
    rate.ahead = math.min(rate.period, math.max(ahead, least))
    if rate.ahead == 0 and spent > 0 then rate.ahead = rate.period end
    rate.count = math.ceil(spent)
    rate.allowed = rate.count + rate.cost <= rate.burst
    rate.retry = rate.ahead
  else
    rate.ahead = math.max(spent * rate.interval, math.min(rate.span, least))
    rate.retry = rate.ahead + rate.cost * rate.interval - rate.span
    rate.allowed = rate.retry <= rate.interval * 0.000001
  end
  if not rate.allowed then allowed = false end
  rates[i] = rate
end
local state, longest, told = string.format('%.0f %.0f', now, assumed_until), 0, nil
for i, rate in ipairs(rates) do
  if allowed and window then
    rate.count = rate.count + rate.cost
    if rate.ahead == 0 then rate.ahead = rate.period end
  elseif allowed then
    rate.ahead = rate.ahead + rate.cost * rate.interval
  end
  if window then
    rate.remaining = math.max(0, rate.burst - rate.count)
  else
    rate.remaining = math.max(0, math.floor((rate.span - rate.ahead) / rate.interval + 0.000001))
  end
  if rate.allowed then rate.retry = 0 end
  if told == nil or (not allowed and rate.retry > told.retry) or
     (allowed and rate.remaining < told.remaining) then told = rate end
  longest = math.max(longest, rate.ahead)
  local unit = window and 0 or rate.interval
  state = state .. string.format(' %.17g %.17g %.0f %.17g', rate.ahead, unit, rate.count, rate.assumed)
end
if (allowed and cost > 0) or write then
  redis.call('SET', KEYS[1], state, 'PX', string.format('%.0f', math.ceil(longest / 1000) + 1))
end
local answer = {allowed and 1 or 0, told.place - 1, told.burst, told.remaining, math.ceil(told.retry),
                math.ceil(told.ahead)}
for i, rate in ipairs(rates) do
  answer[2 * i + 5] = math.ceil(rate.ahead)
  answer[2 * i + 6] = rate.count
end
return answer
)lua";

constexpr std::string_view kHeartbeat = R"lua(
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local lifetime = tonumber(ARGV[2])
redis.call('ZADD', KEYS[1], string.format('%.0f', now), ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('(%.0f', now - lifetime))
redis.call('PEXPIRE', KEYS[1], ARGV[2])
local mark = redis.call('GET', KEYS[2])
if not mark then
  mark = ARGV[3]
  redis.call('SET', KEYS[2], mark)
end
return {redis.call('ZCARD', KEYS[1]), tonumber(mark)}
)lua";

constexpr std::string_view kLockout = R"lua(
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local act, free = ARGV[1], tonumber(ARGV[2])
local first, longest, quiet = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
if act == 'forget' then
  redis.call('DEL', KEYS[1])
  return {1, 0, 0}
end
local function wait_after(failures)
  if failures < free then return 0 end
  return math.min(longest, first * 2 ^ math.min(40, failures - free))
end
local old = {}
for number in string.gmatch(redis.call('GET', KEYS[1]) or '', '%S+') do old[#old + 1] = tonumber(number) end
local failures, last = old[1] or 0, math.min(now, old[2] or now)
if now >= last + wait_after(failures) + quiet then failures = 0 end
local wait = wait_after(failures)
if act == 'try' and now < last + wait then return {0, failures, last + wait - now} end
if act == 'undo' then
  if failures == 0 then return {1, 0, 0} end
  failures = failures - 1
else
  failures = failures + 1
  last = now
end
redis.call('SET', KEYS[1], string.format('%.0f %.0f', failures, last), 'PX',
           string.format('%.0f', math.ceil((last + wait_after(failures) + quiet - now) / 1000) + 1))
return {1, failures, 0}
)lua";

}  // namespace

std::string_view DecideScript() {
  return kDecide;
}

std::string_view HeartbeatScript() {
  return kHeartbeat;
}

std::string_view LockoutScript() {
  return kLockout;
}

std::string ScriptName(std::string_view script) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int size = 0;
  EVP_Digest(script.data(), script.size(), digest.data(), &size, EVP_sha1(), nullptr);
  std::string name;
  for (unsigned int i = 0; i < size; ++i) fmt::format_to(std::back_inserter(name), "{:02x}", digest[i]);
  return name;
}

}  // namespace gathering::limits
