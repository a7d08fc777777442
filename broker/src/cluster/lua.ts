/** What several scripts begin with. */

/** Also in an engine that is full: what settles and looks after brokers is what makes room. */
export const always = "#!lua flags=allow-oom\n";

/** Defines `end_session(prefix, client)`: a session goes in one step with its queue. */
export const endSession = `
local function end_session(prefix, client)
  local queue = '/' .. client
  redis.call('DEL', prefix .. 'queue:' .. queue, prefix .. 'state:' .. queue)
  redis.call('ZREM', prefix .. 'taken', queue)
  local known = redis.call('HDEL', prefix .. 'sessions', client) + redis.call('HDEL', prefix .. 'registry', queue)
  if known == 0 then return end
  redis.call('INCR', prefix .. 'version')
  redis.call('PUBLISH', prefix .. 'news', 'session ' .. client)
end
`;
