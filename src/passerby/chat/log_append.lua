-- Appends the messages of one turn to the logs of one or more rooms. Run again after a lost answer, it changes nothing.
--
-- KEYS, of each room
--       1 state   hash: owner, seq …
--       2 log     list of messages as JSON, oldest first
--       3 ids     list: what identifies evicted messages that have a client id
-- ARGV, of each room
--       1 owner   who may write
--       2 seq     the number of the last message before these
--       3 length  of the log before
--       4 drop    how many of the oldest messages go, after these have come
--       5 count   of the messages
--       6 …       messages as JSON
--
-- Returns for each room the length of ids, or 0 if nothing came to it, or -1 if Redis holds something else than the owner expects, or an error if
-- what it holds is of a foreign type or damaged: the other rooms are appended to nevertheless. Any other error, such as
-- OOM, concerns all of them, and ends the script.

local function append(key, first)
  local state_key, log_key, ids_key = KEYS[key], KEYS[key + 1], KEYS[key + 2]
  local count = tonumber(ARGV[first + 4])
  local from, to = first + 5, first + 4 + count
  local state = redis.call('HMGET', state_key, 'owner', 'seq')
  local last = tonumber(ARGV[first + 1]) + count
  if state[1] ~= ARGV[first] then
    return -1
  end
  if state[2] ~= ARGV[first + 1] then
    return tonumber(state[2]) == last and 0 or -1
  end

  local length
  if count <= 1000 then -- Lua's stack holds some thousands
    length = redis.call('RPUSH', log_key, unpack(ARGV, from, to))
  else
    for place = from, to do
      length = redis.call('RPUSH', log_key, ARGV[place])
    end
  end
  if length == count then
    redis.call('PEXPIRE', log_key, redis.call('PTTL', state_key))
  end
  if length ~= tonumber(ARGV[first + 2]) + count then
    return -1 -- the log was lost alone; its owner replaces all
  end
  redis.call('HSET', state_key, 'seq', last)

  local drop = tonumber(ARGV[first + 3])
  if drop == 0 then
    return 0
  end
  local evicted = {}
  for _, message in ipairs(redis.call('LPOP', log_key, drop)) do
    if string.find(message, '"clientId":"', 1, true) then
      if #message > 512 then
        local whole = cjson.decode(message)
        whole.content = ''
        message = cjson.encode(whole)
      end
      evicted[#evicted + 1] = message
    end
  end
  local known = 0
  for place = 1, #evicted, 1000 do
    known = redis.call('RPUSH', ids_key, unpack(evicted, place, math.min(place + 999, #evicted)))
  end
  if known == #evicted and known > 0 then
    redis.call('PEXPIRE', ids_key, redis.call('PTTL', state_key))
  end
  return known
end

local answers = {}
local first = 1
for room = 1, #KEYS / 3 do
  local is_done, answer = pcall(append, 3 * room - 2, first)
  if not is_done then
    if type(answer) ~= 'table' then -- an error of Lua
      answer = redis.error_reply('ERR ' .. tostring(answer))
    elseif not string.find(answer.err, 'WRONGTYPE', 1, true) then
      return answer
    end
  end
  answers[room] = answer
  first = first + 5 + tonumber(ARGV[first + 4])
end
return answers
