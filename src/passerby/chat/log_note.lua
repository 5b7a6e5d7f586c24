-- Keeps notes beside a room's log, or removes them.
--
-- KEYS  1 state (see log_append.lua)
-- ARGV  1 owner
--       2 how many are kept
--       3 …  names and values in turn, then the names that are removed
--
-- Returns 0, or -1 if Redis holds another room than the owner expects.

if redis.call('HGET', KEYS[1], 'owner') ~= ARGV[1] then
  return -1
end
local removed = 3 + 2 * tonumber(ARGV[2])
for place = 3, removed - 1, 2 do
  redis.call('HSET', KEYS[1], 'note:' .. ARGV[place], ARGV[place + 1])
end
for place = removed, #ARGV do
  redis.call('HDEL', KEYS[1], 'note:' .. ARGV[place])
end
return 0
