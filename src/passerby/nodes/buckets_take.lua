#!lua
-- Takes a token from each bucket, or from none (GCRA, ITU-T I.371).
--
-- KEYS[…] bucket  string: from when it has a token, in microseconds of the server's clock; it expires when the bucket is
--                 full; all are in one slot
--
-- ARGV[1] 1: the token is taken already, and may be one that a bucket does not have; 0: it can be refused
-- ARGV[2…] of each bucket: microseconds until a token is added
--                          microseconds until a bucket with one token is full
--
-- Returns 1 if the token was taken, else 0; then for each bucket the microseconds until it has a token, ≤ 0 if it has

local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local ready, is_taken = {}, true
for number, key in ipairs(KEYS) do
    local interval, reserve = tonumber(ARGV[2 * number]), tonumber(ARGV[2 * number + 1])
    local kept = redis.pcall('GET', key)
    kept = type(kept) == 'string' and tonumber(kept)
    kept = kept and kept > 0 and kept < 1e17 and kept or 0 -- missing or damaged: full
    -- None is later than that, unless somebody has set the clock back.
    ready[number] = math.min(math.max(kept, now - reserve), now + reserve + interval)
    is_taken = is_taken and ready[number] <= now
end

local answer = {0}
if is_taken or ARGV[1] == '1' then
    answer[1] = 1
    for number, key in ipairs(KEYS) do
        local interval, reserve = tonumber(ARGV[2 * number]), tonumber(ARGV[2 * number + 1])
        ready[number] = math.min(ready[number], now + reserve) + interval
        local full = math.ceil((ready[number] - now + reserve) / 1000)
        redis.call('SET', key, string.format('%.0f', ready[number]), 'PX', math.max(1, full))
    end
end
for number in ipairs(KEYS) do
    answer[number + 1] = math.ceil(ready[number] - now)
end
return answer
