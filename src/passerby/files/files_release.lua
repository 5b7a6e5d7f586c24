#!lua flags=allow-oom
-- Releases the memory held for files: the given ones, or if none is given, those that have expired (1,000 at most).
-- KEYS[1]  zset: file id -> when it expires, in milliseconds since the Unix epoch by the server's clock
-- KEYS[2]  hash: file id -> bytes held; `total`: the sum of all
-- ARGV     file ids
-- Returns the number of files that were in the index.
local kind = redis.call('TYPE', KEYS[1]).ok
if kind ~= 'zset' and kind ~= 'none' then -- somebody else has written it
  redis.call('DEL', KEYS[1])
end
kind = redis.call('TYPE', KEYS[2]).ok
if kind ~= 'hash' and kind ~= 'none' then
  redis.call('DEL', KEYS[2])
end
local ids = ARGV
if #ids == 0 then
  local time = redis.call('TIME')
  local now = time[1] * 1000 + math.floor(time[2] / 1000)
  ids = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, 1000)
end
local total = tonumber(redis.call('HGET', KEYS[2], 'total') or nil) or 0
local released = 0
for _, id in ipairs(ids) do
  local held = redis.call('HGET', KEYS[2], id)
  if held then
    total = math.max(0, total - (tonumber(held) or 0))
    redis.call('HSET', KEYS[2], 'total', total) -- first, so that the hash is never empty and keeps its expiry
    redis.call('HDEL', KEYS[2], id)
  end
  released = released + redis.call('ZREM', KEYS[1], id)
end
if redis.call('EXISTS', KEYS[1]) == 0 then
  redis.call('DEL', KEYS[2])
end
return released
