-- Keeps the index of all rooms.
--
-- KEYS  1 rooms   zset: room id, until when it lives, in seconds since the Unix epoch
-- ARGV  1 now, 2 lifetime; seconds
--       3 how many rooms are removed
--       4 …  ids of these, then ids of rooms that live
--
-- Returns 0.

if type(redis.pcall('ZREMRANGEBYSCORE', KEYS[1], '-inf', ARGV[1])) == 'table' then -- an error: it is no sorted set
  redis.call('DEL', KEYS[1])
end
local added = 4 + tonumber(ARGV[3])
for place = 4, added - 1 do
  redis.call('ZREM', KEYS[1], ARGV[place])
end
for place = added, #ARGV do
  redis.call('ZADD', KEYS[1], ARGV[1] + ARGV[2], ARGV[place])
end
redis.call('EXPIRE', KEYS[1], ARGV[2])
return 0
