-- Removes everything that is kept of one or more rooms.
--
-- KEYS, of each room
--       1 state, 2 log, 3 ids (see log_append.lua)
-- ARGV, of each room
--       1 epoch, 2 owner
--
-- Returns 0. Nothing is removed of a room that belongs to another owner, or has a later epoch.

for room = 1, #KEYS / 3 do
  local kept, owner = ARGV[2 * room - 1], ARGV[2 * room]
  local state = redis.pcall('HMGET', KEYS[3 * room - 2], 'epoch', 'owner')
  local epoch = tonumber(state[1] or nil)
  if not epoch or epoch < tonumber(kept) or (state[1] == kept and state[2] == owner) then
    redis.call('DEL', unpack(KEYS, 3 * room - 2, 3 * room))
  end
end
return 0
