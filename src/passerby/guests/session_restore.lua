#!lua
-- Writes a session again, unless there is a newer version of it.
--
-- KEYS[1] guest:<session id>  JSON
--
-- ARGV[1] the session as JSON
-- ARGV[2] milliseconds until it expires
--
-- Returns 1, or 0 if there is a newer version

local function last_seen(json)
    local readable, session = pcall(cjson.decode, json)
    return readable and type(session) == 'table' and type(session.lastSeen) == 'string' and session.lastSeen or ''
end

local present = redis.pcall('GET', KEYS[1]) -- a table, if it is no string
if type(present) == 'string' and last_seen(present) > last_seen(ARGV[1]) then
    return 0
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
