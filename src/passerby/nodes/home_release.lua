-- Removes the home of a guest who is gone, if it still is this one.
--
-- KEYS  1 the guest's home
-- ARGV  1 the node

if redis.call('GET', KEYS[1]) == ARGV[1] then
  redis.call('DEL', KEYS[1])
end
