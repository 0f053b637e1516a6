-- send_wakeups --
-- Tell all that listen; nothing else is in this transaction.
SELECT pg_notify($1, text) FROM unnest($2::text[]) AS text;

-- database_identity --
-- Return what tells this database from any other.
-- With its name: a copy within the same server is another one.
SELECT installation_id::text || '/' || current_database() FROM installation;

-- settled_among --
-- Return what is settled within these ranges (of seqs that were open when last seen): where nothing is, one look at the cursor tells.
SELECT asked.user_id, greatest(found.from_seq, asked.from_seq) AS from_seq,
       least(found.to_seq, asked.to_seq) AS to_seq, found.outcome, found.device_id
  FROM unnest($1::text[], $2::bigint[], $3::bigint[]) AS asked (user_id, from_seq, to_seq)
  -- LIMIT: so few rows are found by their keys, whatever the planner thinks.
  JOIN LATERAL (
      SELECT * FROM cursors WHERE user_id = asked.user_id LIMIT 1
  ) c ON asked.from_seq <= c.settled_seq
      OR c.settled_beyond && int8range(asked.from_seq, asked.to_seq, '[]')
  JOIN LATERAL (
      (SELECT t.from_seq, t.to_seq, t.outcome, t.device_id FROM settlements t
        WHERE t.user_id = asked.user_id AND t.from_seq <= asked.from_seq
        ORDER BY t.from_seq DESC LIMIT 1)
      UNION ALL
      (SELECT t.from_seq, t.to_seq, t.outcome, t.device_id FROM settlements t
        WHERE t.user_id = asked.user_id AND t.from_seq > asked.from_seq
          AND t.from_seq <= asked.to_seq)
  ) found ON found.to_seq >= asked.from_seq;
