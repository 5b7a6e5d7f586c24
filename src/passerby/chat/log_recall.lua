-- Takes a room that an earlier process has left, and returns everything that is kept of it.
--
-- KEYS  1 state, 2 log, 3 ids (see log_append.lua)
-- ARGV  1 the new owner, without epoch; 2 lifetime in seconds; 3 … the owners it is taken from, without epoch
--
-- Returns the fields and values of the state, the log, the ids; nil if there is no such room; -1 if it has another
-- owner; 0 if its keys are of other types, and so are removed.

local epoch = redis.pcall('HGET', KEYS[1], 'epoch')
if not epoch then
  return nil
end
local log = redis.pcall('LRANGE', KEYS[2], 0, -1)
local ids = redis.pcall('LRANGE', KEYS[3], 0, -1)
if type(epoch) == 'table' or log.err or ids.err then
  redis.call('DEL', unpack(KEYS))
  return 0
end
local owner = redis.call('HGET', KEYS[1], 'owner')
local is_ours = not owner
for place = 3, #ARGV do
  is_ours = is_ours or string.match(owner, '^(.*):') == ARGV[place]
end
if not is_ours then
  return -1
end
redis.call('HSET', KEYS[1], 'owner', ARGV[1] .. ':' .. epoch)
for _, key in ipairs(KEYS) do
  redis.call('EXPIRE', key, ARGV[2])
end
return { redis.call('HGETALL', KEYS[1]), log, ids }
