-- Makes a node the home of a guest, if the guest has none, or the one that it takes the place of, or this one already.
--
-- KEYS  1 the guest's home
-- ARGV  1 the node, 2 the home whose place it takes, or empty, 3 lifetime in seconds
--
-- Returns the home there is now. What is no id of a node is replaced.

local home = redis.pcall('GET', KEYS[1])
if type(home) == 'string' and string.find(home, '^[%w_-]+$') and home ~= ARGV[1] and home ~= ARGV[2] then
  return home
end
redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[3])
return ARGV[1]
