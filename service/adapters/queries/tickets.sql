-- put_ticket --
-- Keep a single-use secret.
WITH swept AS (DELETE FROM tickets WHERE valid_until < now() - interval '1 minute')
INSERT INTO tickets (digest, kind, subject, scopes, valid_until, session_until,
                     origin, issued_at, key_id)
VALUES ($1, $2, $3, $4, now() + $5 * interval '1 s', to_timestamp($6::float8),
        $7, to_timestamp($8::float8), $9)
ON CONFLICT DO NOTHING;

-- take_ticket --
-- Use up a single-use secret; of two who try, one gets it.
DELETE FROM tickets WHERE digest = $1 AND kind = $2
RETURNING subject, scopes, valid_until > now() AS valid,
          extract(epoch FROM session_until)::float8 AS session_until,
          origin, extract(epoch FROM issued_at)::float8 AS issued_at, key_id;
