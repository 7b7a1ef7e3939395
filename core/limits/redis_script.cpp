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
local rates = {}
local allowed, write = true, false
for i = 1, (#ARGV - 2) / 5 do
  local rate = {burst = tonumber(ARGV[5 * i - 2]), interval = tonumber(ARGV[5 * i - 1]),
                period = tonumber(ARGV[5 * i])}
  local debt, least = tonumber(ARGV[5 * i + 1]), tonumber(ARGV[5 * i + 2])
  local ahead = math.max(0, (old[3 * i - 1] or 0) - passed)
  local unit, count = old[3 * i] or 0, 0
  if ahead > 0 then count = old[3 * i + 1] or 0 end
  rate.cost = math.min(cost, rate.burst)
  if window then
    if ahead > 0 and unit > 0 then
      count = math.ceil(ahead / unit - 0.000001)
      ahead = rate.period
    end
    if ahead == 0 and debt > 0 then ahead = rate.period end
    rate.ahead = math.min(ahead, rate.period)
    rate.count = math.min(2 * rate.burst, math.min(rate.burst, count) + debt)
    if least > rate.ahead then
      rate.ahead = math.min(least, rate.period)
      rate.count = rate.burst
    end
    rate.allowed = rate.count + rate.cost <= rate.burst
    rate.retry = rate.ahead
  else
    rate.span = rate.burst * rate.interval
    if unit ~= rate.interval and ahead > 0 then
      if unit == 0 then ahead = count * rate.interval else ahead = ahead / unit * rate.interval end
      ahead = math.min(rate.span, ahead)
    end
    rate.ahead = math.max(math.min(2 * rate.span, ahead + debt * rate.interval), math.min(rate.span, least))
    rate.count = 0
    rate.retry = rate.ahead + rate.cost * rate.interval - rate.span
    rate.allowed = rate.retry <= rate.interval * 0.000001
  end
  if debt > 0 or least > 0 then write = true end
  if not rate.allowed then allowed = false end
  rates[i] = rate
end
local state, longest, told = string.format('%.0f', now), 0, nil
for i, rate in ipairs(rates) do
  if allowed then
    rate.count = rate.count + rate.cost
    if not window then rate.ahead = rate.ahead + rate.cost * rate.interval end
    if window and rate.ahead == 0 then rate.ahead = rate.period end
  end
  rate.place = i
  rate.remaining = math.max(0, rate.burst - rate.count)
  if not window then
    rate.remaining = math.max(0, math.floor((rate.span - rate.ahead) / rate.interval + 0.000001))
  end
  if rate.allowed then rate.retry = 0 end
  if told == nil or (not allowed and rate.retry > told.retry) or
     (allowed and rate.remaining < told.remaining) then told = rate end
  longest = math.max(longest, rate.ahead)
  state = state .. string.format(' %.17g %.17g %.0f', rate.ahead, window and 0 or rate.interval,
                                 window and rate.count or 0)
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
