#!lua flags=allow-oom
-- Drops the sessions that have expired from the list, and counts the others.
--
-- KEYS[1] sessions  as in sessions_list.lua
--
-- Returns how many are left, and how many were dropped

local clock = redis.call('TIME')
local dropped = redis.pcall('ZREMRANGEBYSCORE', KEYS[1], '-inf', clock[1] + clock[2] / 1000000)
if type(dropped) == 'table' then -- an error: it is no sorted set
    return {0, 0}
end
return {redis.call('ZCARD', KEYS[1]), dropped}
