-- put_webhook --
-- Keep a notice for the webhook, in the transaction that it tells of.
INSERT INTO webhook_outbox (delivery_id, body) VALUES ($1, $2) ON CONFLICT DO NOTHING;

-- claim_webhooks --
-- Take up to $1 notices that are due, for $2 seconds; nobody waits for another node's.
UPDATE webhook_outbox o
   SET attempts = o.attempts + 1, next_at = now() + $2 * interval '1 s'
  FROM (SELECT delivery_id FROM webhook_outbox
         WHERE delivered_at IS NULL AND given_up_at IS NULL AND next_at <= now()
         ORDER BY next_at LIMIT $1 FOR UPDATE SKIP LOCKED) AS due
 WHERE o.delivery_id = due.delivery_id
RETURNING o.delivery_id, o.body, o.attempts AS attempt,
          extract(epoch FROM now() - o.created_at)::float8 AS age_seconds;

-- webhook_delivered --
-- Note that the receiver has a notice.
UPDATE webhook_outbox SET delivered_at = now(), last_error = NULL
 WHERE delivery_id = $1 AND delivered_at IS NULL;

-- webhook_failed --
-- Note a failed attempt, unless another node has taken the notice since; without $4 there is no other attempt.
UPDATE webhook_outbox
   SET last_error = $3, next_at = now() + coalesce($4::float8, 0) * interval '1 s',
       given_up_at = CASE WHEN $4::float8 IS NULL THEN now() END
 WHERE delivery_id = $1 AND attempts = $2 AND delivered_at IS NULL;

-- tidy_webhooks --
-- Delete up to $2 notices that were delivered $1 seconds ago; count what waits, up to 10,000.
WITH old AS (
    SELECT delivery_id FROM webhook_outbox
     WHERE delivered_at < now() - $1::float8 * interval '1 s'
     LIMIT $2 FOR UPDATE SKIP LOCKED
), deleted AS (
    DELETE FROM webhook_outbox o USING old WHERE o.delivery_id = old.delivery_id
)
SELECT count(*) FROM (
    SELECT FROM webhook_outbox WHERE delivered_at IS NULL AND given_up_at IS NULL
     LIMIT 10000) AS waiting;
