// The tables and functions of PostgresState. What takes more than one step is a function: one round
// trip, one transaction. bytea compares as bytes.

#include "state/postgres_state.h"

namespace longhaul {

namespace {

constexpr std::string_view kSchema1 = R"sql(
CREATE TABLE state_rows (
  partition  bytea NOT NULL,
  key        bytea NOT NULL,
  value      bytea NOT NULL,
  revision   bigint NOT NULL,
  expires_us bigint,
  PRIMARY KEY (partition, key)
) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 5000,
        autovacuum_vacuum_cost_delay = 0, autovacuum_analyze_scale_factor = 0.1);
CREATE INDEX state_rows_by_expiry ON state_rows (expires_us) WHERE expires_us IS NOT NULL;
-- No row shows a revision for a second time, also after it was removed.
CREATE SEQUENCE state_revision;

-- Microseconds since 1970 by the clock of this server.
CREATE FUNCTION state_now() RETURNS bigint LANGUAGE sql VOLATILE AS $$
  SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint
$$;

-- The rows of `p_keys` that are there, with the places of their keys.
CREATE FUNCTION state_get(p_partition bytea, p_keys bytea[])
RETURNS TABLE (place bigint, value bytea, revision bigint, expires_us bigint)
LANGUAGE plpgsql SET enable_seqscan = off AS $$
#variable_conflict use_column
DECLARE v_now bigint := state_now();
BEGIN
  RETURN QUERY
    SELECT k.place, r.value, r.revision, r.expires_us
    FROM unnest(p_keys) WITH ORDINALITY AS k(key, place),
    LATERAL (SELECT s.value, s.revision, s.expires_us FROM state_rows s
             WHERE s.partition = p_partition AND s.key = k.key
               AND (s.expires_us IS NULL OR s.expires_us > v_now) OFFSET 0) r;
END $$;

CREATE FUNCTION state_scan(p_partition bytea, p_after bytea, p_count bigint)
RETURNS TABLE (key bytea, value bytea, revision bigint, expires_us bigint)
LANGUAGE plpgsql SET enable_seqscan = off SET enable_bitmapscan = off AS $$
#variable_conflict use_column
DECLARE v_now bigint := state_now();
BEGIN
  RETURN QUERY
    SELECT s.key, s.value, s.revision, s.expires_us FROM state_rows s
    WHERE s.partition = p_partition AND s.key > p_after
      AND (s.expires_us IS NULL OR s.expires_us > v_now)
    ORDER BY s.key LIMIT p_count;
END $$;

-- One write. A value that is NULL removes. `p_expected`: -2 anything, -1 no row, else its revision.
-- The new revision, 0 after a removal; NULL: what was expected is not so.
CREATE FUNCTION state_write_one(p_partition bytea, p_key bytea, p_value bytea, p_expected bigint,
                                p_expires_us bigint)
RETURNS bigint LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE
  v_now bigint := state_now();
  v_revision bigint;
BEGIN
  IF p_value IS NULL THEN
    IF p_expected >= 0 THEN
      DELETE FROM state_rows WHERE partition = p_partition AND key = p_key
        AND revision = p_expected AND (expires_us IS NULL OR expires_us > v_now);
      RETURN CASE WHEN FOUND THEN 0 END;
    END IF;
    DELETE FROM state_rows WHERE partition = p_partition AND key = p_key
      AND (p_expected = -2 OR expires_us <= v_now);
    IF p_expected = -1 AND NOT FOUND THEN
      PERFORM 1 FROM state_rows WHERE partition = p_partition AND key = p_key;
      IF FOUND THEN RETURN NULL; END IF;
    END IF;
    RETURN 0;
  END IF;
  IF p_expected >= 0 THEN
    UPDATE state_rows SET value = p_value, revision = nextval('state_revision'),
                          expires_us = p_expires_us
      WHERE partition = p_partition AND key = p_key AND revision = p_expected
        AND (expires_us IS NULL OR expires_us > v_now)
      RETURNING revision INTO v_revision;
    RETURN v_revision;
  END IF;
  INSERT INTO state_rows AS r (partition, key, value, revision, expires_us)
    VALUES (p_partition, p_key, p_value, nextval('state_revision'), p_expires_us)
    ON CONFLICT (partition, key) DO UPDATE
      SET value = excluded.value, revision = excluded.revision, expires_us = excluded.expires_us
      WHERE p_expected = -2 OR r.expires_us <= v_now
    RETURNING r.revision INTO v_revision;
  RETURN v_revision;
END $$;

-- Many, of one partition, in the order of the arrays.
CREATE FUNCTION state_write(p_partition bytea, p_keys bytea[], p_values bytea[],
                            p_expected bigint[], p_expires_us bigint[])
RETURNS TABLE (written bigint) LANGUAGE plpgsql AS $$
BEGIN
  FOR i IN 1 .. cardinality(p_keys) LOOP
    written := state_write_one(p_partition, p_keys[i], p_values[i], p_expected[i],
                               p_expires_us[i]);
    RETURN NEXT;
  END LOOP;
END $$;

-- The sum; NULL where the value is no number or the sum is none of 64 bits: then `old` is the
-- value.
CREATE FUNCTION state_add(p_partition bytea, p_key bytea, p_amount bigint,
                          OUT total bigint, OUT old bytea)
LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE
  v_now bigint := state_now();
  v_sum numeric;
BEGIN
  LOOP
    INSERT INTO state_rows AS r (partition, key, value, revision, expires_us)
      VALUES (p_partition, p_key, p_amount::text::bytea, nextval('state_revision'), NULL)
      ON CONFLICT (partition, key) DO UPDATE
        SET value = excluded.value, revision = excluded.revision, expires_us = NULL
        WHERE r.expires_us <= v_now;
    IF FOUND THEN
      total := p_amount;
      RETURN;
    END IF;
    SELECT r.value INTO old FROM state_rows r
      WHERE r.partition = p_partition AND r.key = p_key FOR UPDATE;
    CONTINUE WHEN NOT FOUND;
    IF encode(old, 'escape') !~ '^-?[0-9]{1,19}$' THEN RETURN; END IF;
    v_sum := encode(old, 'escape')::numeric + p_amount;
    IF v_sum NOT BETWEEN -9223372036854775808 AND 9223372036854775807 THEN RETURN; END IF;
    total := v_sum::bigint;
    UPDATE state_rows SET value = total::text::bytea, revision = nextval('state_revision')
      WHERE partition = p_partition AND key = p_key;
    RETURN;
  END LOOP;
END $$;

-- Takes out rows that have expired; how many.
CREATE FUNCTION state_sweep(p_count bigint)
RETURNS bigint LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE v_swept bigint;
BEGIN
  DELETE FROM state_rows WHERE ctid = ANY (ARRAY(
    SELECT s.ctid FROM state_rows s WHERE s.expires_us <= state_now()
    LIMIT p_count FOR UPDATE SKIP LOCKED));
  GET DIAGNOSTICS v_swept = ROW_COUNT;
  RETURN v_swept;
END $$;
)sql";

}  // namespace

const PostgresPart& PostgresStatePart() {
  static const PostgresPart kPart{
      .name = "state",
      .steps = {kSchema1},
      .rights = {{.on = "state_rows", .rights = "SELECT, INSERT, UPDATE, DELETE"},
                 {.on = "SEQUENCE state_revision", .rights = "USAGE"}}};
  return kPart;
}

}  // namespace longhaul
