-- Replaces everything that is kept of a room: when it opens, and when Redis has lost something of it.
--
-- KEYS  1 state, 2 log, 3 ids (see log_append.lua)
-- ARGV  1 epoch, 2 owner, 3 seq, 4 members (JSON), 5 lifetime in seconds
--       6 how many messages, 7 how many identities
--       8 …  the messages, the identities, then names and values of notes in turn
--
-- Returns the length of ids, or -1 if the room belongs to another owner, or has a later epoch.

local state = redis.pcall('HMGET', KEYS[1], 'epoch', 'owner')
local epoch = tonumber(state[1] or nil)
if epoch and (epoch > tonumber(ARGV[1]) or (state[1] == ARGV[1] and state[2] ~= ARGV[2])) then
  return -1
end

redis.call('DEL', unpack(KEYS))
redis.call('HSET', KEYS[1], 'epoch', ARGV[1], 'owner', ARGV[2], 'seq', ARGV[3], 'members', ARGV[4])
local place = 8
for key = 2, 3 do
  local past = place + tonumber(ARGV[key + 4])
  while place < past do -- Lua's stack holds some thousands
    local last = math.min(place + 1000, past) - 1
    redis.call('RPUSH', KEYS[key], unpack(ARGV, place, last))
    place = last + 1
  end
end
while place < #ARGV do
  redis.call('HSET', KEYS[1], 'note:' .. ARGV[place], ARGV[place + 1])
  place = place + 2
end
for _, key in ipairs(KEYS) do
  redis.call('EXPIRE', key, ARGV[5])
end
return tonumber(ARGV[7])
