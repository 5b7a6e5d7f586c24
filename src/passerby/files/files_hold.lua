-- Holds memory for a file; releases what it held before. It may run again: what it holds is said, not added.
-- KEYS[1]  zset: file id -> when it expires, in milliseconds since the Unix epoch by the server's clock
-- KEYS[2]  hash: file id -> bytes held; `total`: the sum of all
-- ARGV[1]  file id
-- ARGV[2]  bytes to hold, and if so many do not fit:
-- ARGV[3]  fewer bytes to hold (at most ARGV[2])
-- ARGV[4]  maximum of `total`; less than before can always be held
-- ARGV[5]  the part of `maxmemory` that may be used with what is held in addition
-- ARGV[6]  milliseconds until it expires
-- ARGV[7]  milliseconds that the index outlives the last file
-- Returns the bytes that are held now. 0: more than ARGV[4]; -1: more than ARGV[5]; then nothing has changed.
local kind = redis.call('TYPE', KEYS[1]).ok
if kind ~= 'zset' and kind ~= 'none' then -- somebody else has written it
  redis.call('DEL', KEYS[1])
end
kind = redis.call('TYPE', KEYS[2]).ok
if kind ~= 'hash' and kind ~= 'none' then
  redis.call('DEL', KEYS[2])
end
if redis.call('EXISTS', KEYS[1]) == 0 then
  redis.call('DEL', KEYS[2])
end
local before = tonumber(redis.call('HGET', KEYS[2], ARGV[1]) or nil) or 0
local others = math.max(0, (tonumber(redis.call('HGET', KEYS[2], 'total') or nil) or 0) - before)
local held = tonumber(ARGV[2])
if others + held > tonumber(ARGV[4]) then
  held = tonumber(ARGV[3])
end
if held > before then
  if others + held > tonumber(ARGV[4]) then
    return 0
  end
  local memory = redis.pcall('INFO', 'memory')
  if type(memory) == 'string' then -- an ACL may forbid it
    local maximum = tonumber(string.match(memory, 'maxmemory:(%d+)') or 0)
    local used = tonumber(string.match(memory, 'used_memory:(%d+)') or 0)
    if maximum > 0 and used + held - before > maximum * ARGV[5] then
      return -1
    end
  end
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZADD', KEYS[1], now + ARGV[6], ARGV[1])
redis.call('HSET', KEYS[2], ARGV[1], held, 'total', others + held)
local last = redis.call('ZRANGE', KEYS[1], -1, -1, 'WITHSCORES')[2] + ARGV[7]
redis.call('PEXPIREAT', KEYS[1], last)
redis.call('PEXPIREAT', KEYS[2], last)
return held
