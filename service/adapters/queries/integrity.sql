-- verify_bound --
-- Return the user with whom the next batch begins; none after the last.
SELECT user_id FROM streams WHERE user_id >= $1 ORDER BY user_id OFFSET $2 LIMIT 1;

-- verify_streams --
-- Return what streams and cursors say, of users from $1 to before $2. So in all of these.
SELECT user_id, s.head_seq, c.settled_seq, c.pruned_seq,
       ARRAY(SELECT lower(r) FROM unnest(c.settled_beyond) AS r ORDER BY r)
         AS beyond_from,
       ARRAY(SELECT upper(r) - 1 FROM unnest(c.settled_beyond) AS r ORDER BY r)
         AS beyond_to,
       c.pruned_confirmed AS confirmed, c.pruned_dead AS dead,
       c.pruned_expired AS expired, c.pruned_discarded AS discarded,
       c.pruned_redriven AS redriven
  FROM (SELECT * FROM streams WHERE user_id >= $1 AND user_id < $2) AS s
  FULL JOIN (SELECT * FROM cursors WHERE user_id >= $1 AND user_id < $2) AS c
       USING (user_id);

-- verify_settlements --
-- Return what settlements say: sums, overlaps, and the unbroken runs above pruned_seq.
WITH placed AS (
    SELECT t.*, t.from_seq <= coalesce(c.pruned_seq, 0) AS kept
      FROM settlements t LEFT JOIN cursors c USING (user_id)
     WHERE t.user_id >= $1 AND t.user_id < $2
), neighbours AS (
    SELECT *, lag(to_seq) OVER beside AS before, lead(from_seq) OVER beside AS after
      FROM placed
    WINDOW beside AS (PARTITION BY user_id, kept ORDER BY from_seq)
)
SELECT user_id,
       coalesce(sum(to_seq - from_seq + 1) FILTER (WHERE outcome = 'confirmed'), 0)::bigint
         AS confirmed,
       coalesce(sum(to_seq - from_seq + 1) FILTER (WHERE outcome = 'dead'), 0)::bigint
         AS dead,
       coalesce(sum(to_seq - from_seq + 1) FILTER (WHERE outcome = 'expired'), 0)::bigint
         AS expired,
       coalesce(sum(to_seq - from_seq + 1) FILTER (WHERE outcome = 'discarded'), 0)::bigint
         AS discarded,
       coalesce(sum(to_seq - from_seq + 1) FILTER (WHERE outcome = 'redriven'), 0)::bigint
         AS redriven,
       count(*) FILTER (WHERE from_seq <= before) AS overlaps,
       min(from_seq) FILTER (WHERE from_seq <= before) AS first_overlap,
       max(to_seq) AS top,
       coalesce(sum(to_seq - from_seq + 1) FILTER (WHERE kept), 0)::bigint AS kept,
       coalesce(array_agg(from_seq ORDER BY from_seq) FILTER (
           WHERE NOT kept AND (before IS NULL OR from_seq > before + 1)), '{}') AS run_from,
       coalesce(array_agg(to_seq ORDER BY from_seq) FILTER (
           WHERE NOT kept AND (after IS NULL OR after > to_seq + 1)), '{}') AS run_to
  FROM neighbours
 GROUP BY user_id;

-- verify_events --
-- Return how many events there are between pruned_seq and the head, above, and below.
SELECT e.user_id,
       count(*) FILTER (WHERE e.seq > coalesce(c.pruned_seq, 0)
                          AND e.seq <= coalesce(s.head_seq, 0)) AS stored,
       count(*) FILTER (WHERE e.seq > coalesce(s.head_seq, 0)) AS above,
       max(e.seq) AS top,
       count(*) FILTER (WHERE e.seq <= coalesce(c.pruned_seq, 0)) AS kept
  FROM events e LEFT JOIN streams s USING (user_id) LEFT JOIN cursors c USING (user_id)
 WHERE e.user_id >= $1 AND e.user_id < $2
 GROUP BY e.user_id;

-- verify_letters --
-- Return where settlements, dead letters and the rows that were kept for them disagree.
WITH open AS (
    SELECT * FROM dead_letters
     WHERE user_id >= $1 AND user_id < $2
       AND redriven_at IS NULL AND discarded_at IS NULL
), faults AS (
    SELECT t.user_id, 'dead_without_letter' AS rule, t.from_seq AS seq
      FROM settlements t
     WHERE t.user_id >= $1 AND t.user_id < $2 AND t.outcome = 'dead'
       AND (t.from_seq < t.to_seq OR NOT EXISTS (
            SELECT FROM open o WHERE o.user_id = t.user_id AND o.seq = t.from_seq))
    UNION ALL
    SELECT o.user_id, 'letter_without_dead', o.seq FROM open o
     WHERE NOT EXISTS (
           SELECT FROM settlements t
            WHERE t.user_id = o.user_id AND t.from_seq = o.seq AND t.outcome = 'dead')
    UNION ALL
    SELECT o.user_id, 'letter_without_event', o.seq FROM open o
     WHERE NOT EXISTS (
           SELECT FROM events e
            WHERE e.user_id = o.user_id AND e.seq = o.seq AND e.event_id = o.event_id
              AND e.redriven_to IS NULL)
    UNION ALL
    SELECT e.user_id, 'kept_without_letter', e.seq
      FROM cursors c JOIN events e ON e.user_id = c.user_id AND e.seq <= c.pruned_seq
     WHERE c.user_id >= $1 AND c.user_id < $2
       AND NOT EXISTS (SELECT FROM dead_letters d
                        WHERE d.event_id = e.event_id AND d.user_id = e.user_id)
)
SELECT user_id, rule, count(*) AS n, min(seq) AS seq FROM faults GROUP BY user_id, rule;

-- verify_redriven --
-- Return where a redriven event's old row, its settlement and its new row disagree.
WITH moved AS (
    SELECT e.user_id, e.seq, e.event_id, e.redriven_to
      FROM events e
     WHERE e.user_id >= $1 AND e.user_id < $2 AND e.redriven_to IS NOT NULL
), faults AS (
    SELECT m.user_id, 'redriven_not_settled' AS rule, m.seq FROM moved m
     WHERE NOT EXISTS (
           SELECT FROM settlements t
            WHERE t.user_id = m.user_id AND t.from_seq = m.seq AND t.outcome = 'redriven')
    UNION ALL
    SELECT m.user_id, 'redriven_to_nowhere', m.seq
      FROM moved m
      LEFT JOIN streams s USING (user_id)
      LEFT JOIN cursors c USING (user_id)
     WHERE m.redriven_to <= m.seq
        OR m.redriven_to > coalesce(s.head_seq, 0)
        OR (m.redriven_to > coalesce(c.pruned_seq, 0) AND NOT EXISTS (
            SELECT FROM events e
             WHERE e.user_id = m.user_id AND e.seq = m.redriven_to
               AND e.event_id = m.event_id))
    UNION ALL
    SELECT t.user_id, 'redriven_without_successor', t.from_seq
      FROM settlements t
     WHERE t.user_id >= $1 AND t.user_id < $2 AND t.outcome = 'redriven'
       AND NOT EXISTS (SELECT FROM moved m
                        WHERE m.user_id = t.user_id AND m.seq = t.from_seq)
)
SELECT user_id, rule, count(*) AS n, min(seq) AS seq FROM faults GROUP BY user_id, rule;

-- verify_attempts --
-- Return attempts of no event, above the head, or beyond the budget of $3.
WITH faults AS (
    SELECT a.user_id, a.seq,
           CASE WHEN a.seq > coalesce(s.head_seq, 0) THEN 'attempt_above_head'
                WHEN a.attempt NOT BETWEEN 1 AND $3 THEN 'too_many_attempts'
                WHEN NOT EXISTS (SELECT FROM events e
                                  WHERE e.user_id = a.user_id AND e.seq = a.seq)
                THEN 'attempt_without_event'
           END AS rule
      FROM attempts a LEFT JOIN streams s USING (user_id)
     WHERE a.user_id >= $1 AND a.user_id < $2
)
SELECT user_id, rule, count(*) AS n, min(seq) AS seq
  FROM faults WHERE rule IS NOT NULL GROUP BY user_id, rule;

-- new_epochs --
-- Give the next $2 streams after a user a new epoch; return the last of them and how many.
WITH next AS (
    SELECT user_id FROM streams WHERE user_id > $1 ORDER BY user_id LIMIT $2
       FOR UPDATE
), renewed AS (
    UPDATE streams s SET epoch = gen_random_uuid()::text
      FROM next WHERE s.user_id = next.user_id
    RETURNING s.user_id
)
SELECT max(user_id) AS last, count(*) AS n FROM renewed;
