"""What the database holds, checked for contradictions by queries of its own.

The service's own counts are not trusted here: every fact is found a second way.
"""

from dataclasses import dataclass

from service.adapters.database import DatabaseManager

_QUERY = """
WITH twice AS (
    SELECT count(*) AS n FROM settlements a
      JOIN settlements b ON a.user_id = b.user_id AND a.from_seq < b.from_seq
                        AND b.from_seq <= a.to_seq
), holes AS (
    SELECT count(*) AS n FROM streams s
      LEFT JOIN cursors c USING (user_id)
      LEFT JOIN (SELECT user_id, count(*) AS rows, max(seq) AS newest FROM events
                  GROUP BY user_id) e USING (user_id)
     WHERE coalesce(e.rows, 0) <> s.head_seq - coalesce(c.pruned_seq, 0)
        OR coalesce(e.newest, s.head_seq) <> s.head_seq
), by_cursor AS (
    SELECT user_id, CASE WHEN settled_seq = 0 THEN settled_beyond
           ELSE settled_beyond + int8multirange(int8range(1, settled_seq, '[]'))
           END AS settled
      FROM cursors
), by_settlement AS (
    SELECT user_id, range_agg(int8range(from_seq, to_seq, '[]')) AS settled
      FROM settlements GROUP BY user_id
), contradictions AS (
    SELECT count(*) AS n FROM by_cursor c
      FULL JOIN by_settlement s USING (user_id)
     WHERE coalesce(c.settled, '{}') <> coalesce(s.settled, '{}')
), ahead AS (
    SELECT count(*) AS n FROM settlements t
      LEFT JOIN streams s USING (user_id) WHERE t.to_seq > coalesce(s.head_seq, 0)
)
SELECT (SELECT n FROM twice) AS overlapping, (SELECT n FROM holes) AS holes,
       (SELECT n FROM contradictions) AS contradictions, (SELECT n FROM ahead) AS ahead,
       (SELECT count(*) FROM events) AS stored,
       (SELECT coalesce(sum(to_seq - from_seq + 1), 0) FROM settlements
         WHERE outcome = 'confirmed')::bigint AS confirmed,
       (SELECT coalesce(sum(to_seq - from_seq + 1), 0) FROM settlements)::bigint
         AS settled
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """Counts, and four that must be 0.

    `overlapping`: pairs of settlements of one seq. `holes`: streams whose numbering has
    a gap. `contradictions`: users whose cursor and settlements differ. `ahead`:
    settlements of seqs that do not exist.
    """

    stored: int
    confirmed: int
    settled: int
    overlapping: int
    holes: int
    contradictions: int
    ahead: int

    @property
    def faults(self) -> int:
        return self.overlapping + self.holes + self.contradictions + self.ahead


async def read_ledger(database: DatabaseManager) -> Ledger:
    """Read everything in one statement, so that it is one moment."""
    row = await database.fetchrow(_QUERY)
    if row is None:
        raise AssertionError("a SELECT without FROM has one row")
    return Ledger(**row)
