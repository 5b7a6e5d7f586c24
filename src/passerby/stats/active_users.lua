#!lua
-- Counts guests who have connected, or whose connection has ended.
--
-- KEYS[1] active_user_count  integer ≥ 0
--
-- ARGV[1] how many more are connected; < 0: how many fewer
-- ARGV[2] seconds until the count expires
--
-- Returns the count

local count = redis.pcall('INCRBY', KEYS[1], ARGV[1])
if type(count) ~= 'number' or count < 0 then -- somebody wrote something else there; or the count had expired
    count = math.max(0, tonumber(ARGV[1]))
    redis.call('SET', KEYS[1], count)
end
redis.call('EXPIRE', KEYS[1], ARGV[2])
return count
