-- What several scripts of the queue share. They begin with it.

-- Remove a guest from where they stand; `places` is the hash of queue_enter.lua.
local function leave(places, guest)
    local stands = redis.call('HGET', places, guest)
    if stands then
        for name in string.gmatch(stands, '\n([^\n]+)') do
            redis.pcall('ZREM', places .. ':' .. name, guest)
        end
        redis.call('HDEL', places, guest)
    end
end
