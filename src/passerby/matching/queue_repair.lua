#!lua
-- Remove the keys if one of them is of another type, because somebody else has written it. Without it the others are of
-- no use: all processes enter their tickets again.
--
-- KEYS[1] tickets, KEYS[2] waiting, KEYS[3] leases, KEYS[4] places: as in queue_enter.lua
--
-- Returns 0

for place, wanted in ipairs({'hash', 'set', 'zset', 'hash'}) do
    local found = redis.call('TYPE', KEYS[place]).ok
    if found ~= wanted and found ~= 'none' then
        redis.call('DEL', unpack(KEYS))
        return 0
    end
end
return 0
