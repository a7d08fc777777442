/**
 * Scripts about ordered queues. Such a queue has no consumer group: each shard is a stream of its own, which its owner
 * reads from the oldest entry on, and of which settled entries are deleted. Beside them:
 * ```
 * shards:Q    w<broker> what the broker's members can do; of each shard: l<n> its owner's mark, `number broker`, where the
 *             number grows with every change of owner; c<n> the newest entry that any owner took; h<n> the owner waits
 * shards:Q#n  entries of shard n; ids are given out for all shards of the queue together
 * layouts     the layout of each ordered queue
 * ```
 * Whoever notes something of a shard shows the mark. One that is not the owner's is refused, so a broker that was
 * frozen while another one took its shards over alters nothing.
 */
import { always } from "./common.ts";

/**
 * Says what this broker's members can do, and divides the shards by that. A shard is free when it has no owner, or one
 * that is dead. KEYS: prefix of all keys. ARGV: queue, broker, capacity, number of shards, layout, then shards with the
 * marks that the broker has of them, or with `-` those that it does not want.
 * Returns shards given with their marks, shards lost, and how many the broker has beyond its share.
 */
export const balance = `${always}
local prefix, queue, me, count = KEYS[1], ARGV[1], ARGV[2], tonumber(ARGV[4])
local hash, brokers = prefix .. 'shards:' .. queue, prefix .. 'brokers'
if redis.call('HGET', prefix .. 'layouts', queue) ~= ARGV[5] then
  local lost = {}
  for at = 6, #ARGV, 2 do lost[#lost + 1] = tonumber(ARGV[at]) end
  return { {}, lost, 0 }
end
if ARGV[3] == '0' then redis.call('HDEL', hash, 'w' .. me)
else redis.call('HSET', hash, 'w' .. me, ARGV[3]) end

local alive = {}
for _, broker in ipairs(redis.call('SMEMBERS', brokers)) do alive[broker] = true end
local marks, capacity, names, total = {}, {}, {}, 0
local fields = redis.call('HGETALL', hash)
for at = 1, #fields, 2 do
  local kind, name = string.sub(fields[at], 1, 1), string.sub(fields[at], 2)
  if kind == 'l' then marks[name] = fields[at + 1]
  elseif kind == 'w' and alive[name] then
    names[#names + 1] = name
    capacity[name] = tonumber(fields[at + 1])
    total = total + capacity[name]
  elseif kind == 'w' then redis.call('HDEL', hash, fields[at]) end
end

local share, rest, left = {}, {}, count
for _, name in ipairs(names) do
  local exact = count * capacity[name] / total
  share[name] = math.floor(exact + 1e-9)
  rest[name] = exact - share[name]
  left = left - share[name]
end
table.sort(names, function(a, b)
  if rest[a] ~= rest[b] then return rest[a] > rest[b] end
  return a < b
end)
for at = 1, math.min(left, #names) do share[names[at]] = share[names[at]] + 1 end

local mine, unwanted, lost, own = {}, {}, {}, 0
for at = 6, #ARGV, 2 do
  local shard, mark = ARGV[at], ARGV[at + 1]
  if mark == '-' then unwanted[shard] = true
  elseif marks[shard] == mark then
    mine[shard] = true
    own = own + 1
  else lost[#lost + 1] = tonumber(shard) end
end
local given, most = {}, share[me] or 0
for n = 0, count - 1 do
  local shard = tostring(n)
  local owner = marks[shard] and string.match(marks[shard], ' (.*)$')
  local free = not owner or not alive[owner] or (owner == me and not mine[shard])
  if own < most and free and not unwanted[shard] then
    local mark = redis.call('INCR', prefix .. 'marks') .. ' ' .. me
    redis.call('HSET', hash, 'l' .. shard, mark)
    redis.call('HDEL', hash, 'h' .. shard)
    given[#given + 1] = { n, mark }
    own = own + 1
  end
end
return { given, lost, math.max(0, own - most) }
`;

/**
 * Takes entries of shards until they have as many messages as are wanted, from all shards in turn. KEYS: prefix of all
 * keys. ARGV: queue, messages, most entries, then of each shard: number, mark, begin of the range to read.
 * Returns shards lost, 1 if there are no more entries, and of each entry its shard, id, content, bitmap and failed
 * attempts.
 */
export const takeShards = `${always}
local prefix, queue = KEYS[1], ARGV[1]
local hash, state = prefix .. 'shards:' .. queue, prefix .. 'state:' .. queue
local wanted, room = tonumber(ARGV[2]), tonumber(ARGV[3])

local function newer(a, b)
  local ma, sa = string.match(a, '(%d+)-(%d+)')
  local mb, sb = string.match(b, '(%d+)-(%d+)')
  if ma ~= mb then return tonumber(ma) > tonumber(mb) end
  return tonumber(sa) > tonumber(sb)
end

local function owns(shard)
  if not shard.before then
    local known = redis.call('HMGET', hash, 'l' .. shard.n, 'c' .. shard.n)
    shard.owned, shard.before = known[1] == shard.mark, known[2] or '0-0'
  end
  return shard.owned
end

local open, lost, reply, taken = {}, {}, {}, 0
for at = 4, #ARGV, 3 do
  open[#open + 1] = { n = ARGV[at], mark = ARGV[at + 1], from = ARGV[at + 2] }
end
while #open > 0 and taken < wanted and #reply < room do
  local size = #reply > 0 and taken / #reply or 32
  local count = math.max(1, math.floor((wanted - taken) / size / #open))
  local more = {}
  for _, shard in ipairs(open) do
    local full = taken >= wanted or #reply >= room
    if full then more[#more + 1] = shard
    elseif not owns(shard) then lost[#lost + 1] = tonumber(shard.n)
    else
      local entries = redis.call('XRANGE', hash .. '#' .. shard.n, shard.from, '+', 'COUNT', count)
      for _, entry in ipairs(entries) do
        local id, noted = entry[1], { false, false }
        if not newer(id, shard.before) then noted = redis.call('HMGET', state, 'u' .. id, 'f' .. id) end
        reply[#reply + 1] = { tonumber(shard.n), id, entry[2][2], noted[1], noted[2] }
        taken = taken + string.byte(entry[2][2], 2)
        shard.last = id
      end
      if shard.last then shard.from = '(' .. shard.last end
      if #entries == count then more[#more + 1] = shard
      else redis.call('HSET', hash, 'h' .. shard.n, 1) end
      if shard.last and newer(shard.last, shard.before) then redis.call('HSET', hash, 'c' .. shard.n, shard.last) end
    end
  end
  open = more
end
return { lost, #open == 0 and 1 or 0, reply }
`;

/** Gives a shard up. KEYS: prefix of all keys. ARGV: queue, shard, mark. */
export const yieldShard = `${always}
local hash, field = KEYS[1] .. 'shards:' .. ARGV[1], 'l' .. ARGV[2]
if redis.call('HGET', hash, field) ~= ARGV[3] then return 0 end
redis.call('HDEL', hash, field)
redis.call('PUBLISH', KEYS[1] .. 'news', 'balance ' .. ARGV[1])
return 1
`;

/** Notes failed attempts of an entry. KEYS: state, shards. ARGV: shard, mark, id, the attempts. Returns 0 if refused. */
export const attemptOfShard = `${always}
if redis.call('HGET', KEYS[2], 'l' .. ARGV[1]) ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], 'f' .. ARGV[3], ARGV[4])
return 1
`;

/**
 * Keeps a dead letter. KEYS: the pool's dead letters, shards. ARGV: letter, most letters, shard, mark or nothing where
 * there is no order. Returns how many were dropped, or -1 if it was refused.
 */
export const bury = `
if ARGV[4] ~= '' and redis.call('HGET', KEYS[2], 'l' .. ARGV[3]) ~= ARGV[4] then return -1 end
redis.call('XADD', KEYS[1], '*', 'm', ARGV[1])
return redis.call('XTRIM', KEYS[1], 'MAXLEN', ARGV[2])
`;
