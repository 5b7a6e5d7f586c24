-- Appends the messages of one turn to a room's log. Run again after a lost answer, it changes nothing.
--
-- KEYS  1 state   hash: owner, seq …
--       2 log     list of messages as JSON, oldest first
--       3 ids     list: what identifies evicted messages that have a client id
-- ARGV  1 owner   who may write
--       2 seq     the number of the last message before these
--       3 length  of the log before
--       4 drop    how many of the oldest messages go, after these have come
--       5 …       messages as JSON
--
-- Returns the length of ids, or -1 if Redis holds something else than the owner expects.

local state = redis.call('HMGET', KEYS[1], 'owner', 'seq')
local count = #ARGV - 4
local last = tonumber(ARGV[2]) + count
if state[1] ~= ARGV[1] then
  return -1
end
if state[2] ~= ARGV[2] then
  return tonumber(state[2]) == last and redis.call('LLEN', KEYS[3]) or -1
end

local length
if count <= 1000 then -- Lua's stack holds some thousands
  length = redis.call('RPUSH', KEYS[2], unpack(ARGV, 5))
else
  for place = 5, #ARGV do
    length = redis.call('RPUSH', KEYS[2], ARGV[place])
  end
end
if length ~= tonumber(ARGV[3]) + count then
  return -1 -- the log was lost alone; its owner replaces all
end
redis.call('HSET', KEYS[1], 'seq', last)
if length == count then
  redis.call('PEXPIRE', KEYS[2], redis.call('PTTL', KEYS[1]))
end

local drop = tonumber(ARGV[4])
if drop == 0 then
  return redis.call('LLEN', KEYS[3])
end
local known = 0
for _, message in ipairs(redis.call('LPOP', KEYS[2], drop)) do
  if string.find(message, '"clientId":"', 1, true) then
    if #message > 512 then
      local whole = cjson.decode(message)
      whole.content = ''
      message = cjson.encode(whole)
    end
    known = redis.call('RPUSH', KEYS[3], message)
    if known == 1 then
      redis.call('PEXPIRE', KEYS[3], redis.call('PTTL', KEYS[1]))
    end
  end
end
return known
