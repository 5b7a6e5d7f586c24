-- Lets a room live on, if Redis holds what its owner expects.
--
-- KEYS  1 state, 2 log, 3 ids (see log_append.lua)
-- ARGV  1 owner, 2 seq, 3 length of the log, 4 lifetime in seconds
--
-- Returns the length of ids, or -1 if Redis holds something else.

local state = redis.call('HMGET', KEYS[1], 'owner', 'seq')
if state[1] ~= ARGV[1] or state[2] ~= ARGV[2] or redis.call('LLEN', KEYS[2]) ~= tonumber(ARGV[3]) then
  return -1
end
for _, key in ipairs(KEYS) do
  redis.call('EXPIRE', key, ARGV[4])
end
return redis.call('LLEN', KEYS[3])
