-- letter_summary --
-- Count the dead letters of a filter ($1…$6, as in letters) and state, by type and reason, the $8 largest groups; with each how many there are in all, and the time.
SELECT e.type, d.reason, count(*) AS count,
       sum(count(*)) OVER ()::bigint AS total
  FROM dead_letters d
  LEFT JOIN events e ON e.user_id = d.user_id AND e.seq = d.seq
 WHERE ($1::text IS NULL OR d.user_id = $1)
   AND ($2::text IS NULL OR e.type = $2)
   AND ($3::text IS NULL OR e.run_id = $3)
   AND ($4::text IS NULL OR d.reason = $4)
   AND ($5::float8 IS NULL OR d.at < to_timestamp($5))
   AND ($6::float8 IS NULL OR d.at >= to_timestamp($6))
   AND ($7::text IS NULL OR $7 = CASE WHEN d.redriven_at IS NOT NULL THEN 'redriven'
                                      WHEN d.discarded_at IS NOT NULL THEN 'discarded'
                                      ELSE 'open' END)
 GROUP BY e.type, d.reason
 ORDER BY count DESC, e.type, d.reason
 LIMIT $8;

-- database_time --
-- Return the time by the database, which times of death are by.
SELECT extract(epoch FROM now())::float8 AS at;
