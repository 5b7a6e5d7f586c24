-- Removes everything that is kept of a room.
--
-- KEYS  1 state, 2 log, 3 ids (see log_append.lua)
-- ARGV  1 epoch, 2 owner
--
-- Returns 0. Nothing is removed if the room belongs to another owner, or has a later epoch.

local state = redis.pcall('HMGET', KEYS[1], 'epoch', 'owner')
local epoch = tonumber(state[1] or nil)
if not epoch or epoch < tonumber(ARGV[1]) or (state[1] == ARGV[1] and state[2] == ARGV[2]) then
  redis.call('DEL', unpack(KEYS))
end
return 0
