/* The scripts' text.  Numbers go through string.format('%.0f'): Lua's own form of a large
 * one is in floating point. */
#include "cache/change/log_scripts.h"

#include <stddef.h>

#include "cache/redis/redis_call.h"

#define ID "string.format('%.0f-0', "

/* s: epoch, seq, n, cut, cut_n. */
#define ENDS                                                                             \
	"local s = redis.call('HMGET', KEYS[1], 'epoch', 'seq', 'n', 'cut', 'cut_n')\n"  \
	"for i = 1, 5 do\n"                                                              \
	"  s[i] = tonumber(s[i] or '')\n"                                                \
	"  if not s[i] then return {0} end\n"                                            \
	"end\n"                                                                          \
	"if s[2] > s[4] and redis.call('EXISTS', KEYS[2]) == 0 then return {0} end\n"

#define FIELDS                                                                           \
	"local function fields(entry)\n"                                                 \
	"  local f = {}\n"                                                               \
	"  for i = 1, #entry[2] - 1, 2 do f[entry[2][i]] = entry[2][i + 1] end\n"        \
	"  f.b = f.b or ''\n"                                                            \
	"  return f, tonumber(string.match(entry[1], '^%d+'))\n"                         \
	"end\n"

const char *const log_scripts[LOG_SCRIPTS + 1] = {
    [LOG_CHECK] =
	"local s = redis.call('HMGET', KEYS[1], 'epoch', 'seq', 'n', 'cut', 'cut_n')\n"
	"local run, durable = unpack(redis.call('HMGET', KEYS[1], 'run', 'durable'))\n"
	"local seen, why = tonumber(ARGV[3]), 1\n"
	"for i = 1, 5 do s[i] = tonumber(s[i] or '') or -1 end\n"
	"local x, last = redis.pcall('XINFO', 'STREAM', KEYS[2]), '0-0'\n"
	"if x.err and string.find(x.err, '^WRONGTYPE') then return x end\n"
	"for i = 1, #x - 1, 2 do\n"
	"  if x[i] == 'last-generated-id' then last = x[i + 1] end\n"
	"end\n"
	"local again = ARGV[1] ~= '' and run ~= ARGV[1]\n"
	"if s[1] < 0 then why = 2\n"
	"elseif ARGV[6] == '1' then why = 3\n"
	"elseif again and (durable ~= '1' or ARGV[2] ~= '1') then why = 4\n"
	"elseif s[1] > 4294967295 or s[2] > 281474976710655 or s[4] > s[2] or\n"
	"    last ~= " ID "s[2]) or\n"
	"    (s[1] == seen and s[2] < tonumber(ARGV[4])) then why = 5 end\n"
	"if why > 1 then\n"
	"  local now = tonumber(redis.call('TIME')[1])\n"
	"  local epoch = math.max(now, s[1] + 1, seen + 1, tonumber(ARGV[5]))\n"
	"  if epoch > 4294967295 then epoch = now end\n"
	"  redis.call('UNLINK', KEYS[1], KEYS[2])\n"
	"  redis.call('HSET', KEYS[1], 'epoch', epoch, 'seq', 0, 'n', 0, 'cut', 0,\n"
	"    'cut_n', 0, 'run', ARGV[1], 'durable', ARGV[2])\n"
	"  s, durable = {epoch, 0, 0, 0, 0}, ARGV[2]\n"
	"elseif again then\n"
	"  redis.call('HSET', KEYS[1], 'run', ARGV[1])\n"
	/* Turned on later in this run: what was before may not be on the disk. */
	"elseif durable == '1' and ARGV[2] ~= '1' then\n"
	"  redis.call('HSET', KEYS[1], 'durable', '0')\n"
	"  durable = '0'\n"
	"end\n"
	"return {why, s[1], s[2], s[3], s[4], s[5], durable == '1' and 1 or 0}\n",

    [LOG_APPEND] = ENDS
    "local list, single = ARGV[1] == 'list', ARGV[1] == 'single'\n"
    "local old, status = redis.call('GET', KEYS[3]) or '', 1\n"
    "if list then\n"
    "  if old ~= ARGV[5] then status = 2 end\n"
    "elseif single then\n"
    "  local what, e, q = string.match(old, '^(.+) (%d+) (%d+)$')\n"
    "  local left = redis.call('GET', KEYS[4]) or ''\n"
    "  local le, lq = string.match(left, '^(%d+) (%d+)$')\n"
    "  if what == ARGV[5] and tonumber(e) == s[1] and not\n"
    "      (tonumber(le) == s[1] and tonumber(lq) > tonumber(q)) then\n"
    "    status = 3\n"
    "  end\n"
    "end\n"
    "if status > 1 then return {status, unpack(s)} end\n"
    "if ARGV[2] ~= '' then\n"
    "  s[2], s[3] = s[2] + 1, tonumber(ARGV[4])\n"
    "  local x = redis.pcall('XADD', KEYS[2], " ID "s[2]),\n"
    "    'b', ARGV[2], 't', ARGV[3], 'n', ARGV[4])\n"
    "  if type(x) == 'table' then\n"
    "    if string.find(x.err, 'equal or smaller', 1, true) then return {0} end\n"
    "    return x\n"
    "  end\n"
    "  redis.call('HSET', KEYS[1], 'seq', s[2], 'n', s[3])\n"
    "end\n"
    "local here = string.format('%.0f %.0f', s[1], s[2])\n"
    "if single then\n"
    "  redis.call('SET', KEYS[3], ARGV[5] .. ' ' .. here, 'EX', ARGV[8])\n"
    "elseif list then\n"
    "  redis.call('SET', KEYS[3], ARGV[6])\n"
    "  if ARGV[7] == '1' then redis.call('SET', KEYS[4], here, 'EX', ARGV[8]) end\n"
    "end\n"
    "return {status, unpack(s)}\n",

    /* Entries are asked for one by one, or 16 at once while they are small: one may be
     * 320 KB or 100 bytes, and each is copied into Lua. */
    [LOG_READ] = ENDS FIELDS
    "local epoch, at, index = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])\n"
    "if epoch == 0 then epoch, at, index = s[1], s[4], s[5] end\n"
    "local list, bytes, want, to = {}, 0, 1, at\n"
    "local answer = {1, s[1], s[2], s[3], s[4], s[5], list}\n"
    "if epoch ~= s[1] or at < s[4] or at > s[2] or\n"
    "    (at == s[2] and index >= s[3]) then return answer end\n"
    "while true do\n"
    "  local size = 0\n"
    "  local r = redis.call('XRANGE', KEYS[2], " ID "to), '+', 'COUNT', want)\n"
    "  for _, entry in ipairs(r) do\n"
    "    local f, seq = fields(entry)\n"
    "    if #f.b > tonumber(ARGV[5]) then f.b = '' end\n"
    "    local n = tonumber(f.n or '')\n"
    "    if seq ~= at or (index < tonumber(ARGV[6]) and not (n and n <= index)) then\n"
    "      bytes = bytes + #f.b\n"
    "      if #list > 0 and (bytes > tonumber(ARGV[4]) or #list >= 4000) then\n"
    "        return answer\n"
    "      end\n"
    "      list[#list + 1], list[#list + 2] = entry[1], f.b\n"
    "    end\n"
    "    size, to = size + #f.b, seq + 1\n"
    "  end\n"
    "  if #r < want then return answer end\n"
    "  want = size < 4096 * #r and 16 or 1\n"
    "end\n",

    /* 4 MB or 1,000 entries in one step, so that Redis is not held up. */
    [LOG_TRIM] = ENDS FIELDS
    "local bytes, count, want, to, last, n = 0, 0, 1, s[4] + 1, nil, nil\n"
    "local more = true\n"
    "while more and bytes < 4194304 and count < 1000 do\n"
    "  local size = 0\n"
    "  local r = redis.call('XRANGE', KEYS[2], " ID "to), '+', 'COUNT', want)\n"
    "  for _, entry in ipairs(r) do\n"
    "    local f, seq = fields(entry)\n"
    "    if (tonumber(f.t or '') or 0) >= tonumber(ARGV[1]) or seq > s[2] then\n"
    "      more = false\n"
    "      break\n"
    "    end\n"
    "    last, n, count, size, to = seq, tonumber(f.n or ''), count + 1, size + #f.b,\n"
    "      seq + 1\n"
    "  end\n"
    "  if #r < want then more = false end\n"
    "  bytes, want = bytes + size, size < 4096 * #r and 16 or 1\n"
    "end\n"
    "if last then\n"
    "  redis.call('XTRIM', KEYS[2], 'MINID', '=', " ID "last + 1))\n"
    "  s[4], s[5] = last, n or 10000\n"
    "  redis.call('HSET', KEYS[1], 'cut', s[4], 'cut_n', s[5])\n"
    "end\n"
    "return {1, s[1], s[2], s[3], s[4], s[5], count}\n",
    /* Whether our state continues the old one's numbers stands in its field `from`, as
     * long as it does: two epochs that began in one second would be of one number. */
    [LOG_TAKE_OVER] = FIELDS
    "local function is_other(key)\n"
    "  local x = redis.pcall('XINFO', 'STREAM', key)\n"
    "  return x.err and string.find(x.err, '^WRONGTYPE')\n"
    "end\n"
    "if ARGV[1] ~= '' then\n"
    "  local old = ARGV[2]\n"
    "  local r = redis.call('SCAN', ARGV[1], 'MATCH',\n"
    "    string.gsub(old, '[%*%?%[%]\\\\%^%-]', '\\\\%0') .. '*', 'COUNT', '1000')\n"
    "  for _, key in ipairs(r[2]) do\n"
    "    local name = string.sub(key, #old + 1)\n"
    "    local kind = string.match(name, '^(%l+):')\n"
    "    local ours = kind == 'told' or kind == 'one' or kind == 'left'\n"
    "    local v = ours and redis.pcall('GET', key)\n"
    "    if type(v) == 'string' then\n"
    "      local ms = redis.call('PTTL', key)\n"
    "      if redis.call('EXISTS', ARGV[3] .. name) == 1 then ms = 0 end\n"
    "      if ms > 0 then redis.call('SET', ARGV[3] .. name, v, 'PX', ms)\n"
    "      elseif ms < 0 then redis.call('SET', ARGV[3] .. name, v) end\n"
    "      redis.call('UNLINK', key)\n"
    "    end\n"
    "  end\n"
    "  return r[1]\n"
    "end\n"
    "local s = redis.pcall('HMGET', KEYS[3], 'epoch', 'seq', 'n', 'cut', 'cut_n', "
    "'run',\n"
    "  'durable')\n"
    "local o = redis.pcall('HMGET', KEYS[1], 'epoch', 'seq', 'from')\n"
    "if s.err or o.err or is_other(KEYS[2]) or is_other(KEYS[4]) then return 0 end\n"
    "for i = 1, 5 do s[i] = tonumber(s[i] or '') or -1 end\n"
    "local seq, from = tonumber(o[2] or ''), tonumber(o[3] or '')\n"
    "if redis.call('EXISTS', KEYS[1]) == 0 then\n"
    "  if math.min(s[1], s[2], s[3], s[4], s[5]) < 0 then\n"
    "    redis.call('UNLINK', KEYS[3], KEYS[4])\n"
    "    return 0\n"
    "  end\n"
    "  redis.call('HSET', KEYS[1], 'epoch', s[1], 'seq', s[4], 'n', s[5], 'cut', s[4],\n"
    "    'cut_n', s[5], 'run', s[6] or '', 'durable', s[7] or '0', 'from', s[1])\n"
    "  redis.call('UNLINK', KEYS[2])\n"
    "  seq, from = s[4], s[1]\n"
    /* The stream has the last number also where all was dropped for its age. */
    "  if seq > 0 then\n"
    "    redis.call('XADD', KEYS[2], " ID "seq), 'b', '')\n"
    "    redis.call('XTRIM', KEYS[2], 'MINID', '=', " ID "seq + 1))\n"
    "  end\n"
    "elseif not seq then return 0 end\n"
    "local same = from == s[1]\n"
    "local bytes, count, want, last, n = 0, 0, 1, nil, nil\n"
    "local more = true\n"
    "while more and bytes < 4194304 and count < 1000 do\n"
    "  local size = 0\n"
    "  local r = redis.call('XRANGE', KEYS[4], last and '(' .. last or '-', '+',\n"
    "    'COUNT', want)\n"
    "  for _, entry in ipairs(r) do\n"
    "    local f, number = fields(entry)\n"
    "    last, count, size = entry[1], count + 1, size + #f.b\n"
    "    if not same then number = seq + 1 end\n"
    "    if number > seq then\n"
    "      local x = redis.pcall('XADD', KEYS[2], " ID "number), 'b', f.b,\n"
    "        't', f.t or '0', 'n', f.n or '')\n"
    "      if type(x) == 'table' then\n"
    "        if string.find(x.err, 'equal or smaller', 1, true) then return 0 end\n"
    "        return x\n"
    "      end\n"
    "      seq, n = number, tonumber(f.n or '') or 10000\n"
    "    end\n"
    "  end\n"
    "  more = #r == want\n"
    "  bytes, want = bytes + size, size < 4096 * #r and 16 or 1\n"
    "end\n"
    "if n then redis.call('HSET', KEYS[1], 'seq', seq, 'n', n) end\n"
    "if more then\n"
    "  local ms, part = string.match(last, '^(%d+)-(%d+)$')\n"
    "  redis.call('XTRIM', KEYS[4], 'MINID', '=',\n"
    "    string.format('%s-%.0f', ms, tonumber(part) + 1))\n"
    "  return 1\n"
    "end\n"
    /* What the old log lacked at its end is no place that is given anew. */
    "if same then redis.call('HSET', KEYS[1], 'seq', s[2], 'n', s[3], 'from', '') end\n"
    "redis.call('UNLINK', KEYS[3], KEYS[4])\n"
    "return 0\n",
    [LOG_SCRIPTS] = NULL,
};

/* SET first: once a script has written, Redis looks no more whether memory is full. */
const char log_trial[] =
    "local k = KEYS[1]\n"
    "local steps = {{'SET', k, '1', 'EX', '10'}, {'GET', k}, {'PTTL', k},\n"
    "  {'GETRANGE', k, '0', '0'}, {'UNLINK', k}, {'HSET', k, 'a', '1'},\n"
    "  {'HMGET', k, 'a'}, {'EXISTS', k}, {'UNLINK', k},\n"
    "  {'XADD', k, '1-0', 'b', ''}, {'XRANGE', k, '-', '+', 'COUNT', '1'},\n"
    "  {'XINFO', 'STREAM', k}, {'XTRIM', k, 'MINID', '=', '2-0'}, {'TIME'},\n"
    "  {'SCAN', '0', 'COUNT', '1'}, {'UNLINK', k}}\n" REDIS_TRIAL;
