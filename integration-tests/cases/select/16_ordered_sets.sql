-- Ordered-set and hypothetical-set aggregates.

-- case: percentiles
SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY grade) FROM site;
SELECT percentile_cont(0.25) WITHIN GROUP (ORDER BY amount::float8) FROM visit;
SELECT percentile_disc(0.9) WITHIN GROUP (ORDER BY area) FROM site;
SELECT percentile_disc(ARRAY[0, 0.1, 0.5, 1]) WITHIN GROUP (ORDER BY grade DESC) FROM site;
SELECT percentile_cont(ARRAY[0.5, NULL]) WITHIN GROUP (ORDER BY took) FROM visit;
SELECT grade, percentile_disc(0.5) WITHIN GROUP (ORDER BY area) FROM site GROUP BY grade;
SELECT grade, percentile_cont(0.5) WITHIN GROUP (ORDER BY grade) AS p FROM site GROUP BY grade ORDER BY p LIMIT 3;
SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY code) FROM site;
SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY name) FROM site;
SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY mood) FROM visit;
SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY grade) FILTER (WHERE active) FROM site;
SELECT site_id, percentile_cont(0.5) WITHIN GROUP (ORDER BY qty) FROM visit GROUP BY site_id;
SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY grade) FROM site WHERE false;
SELECT round(percentile_cont(0.1) WITHIN GROUP (ORDER BY qty)::numeric, 2), count(*) FROM visit;

-- case: mode and ranks
SELECT mode() WITHIN GROUP (ORDER BY active) FROM site;
SELECT mode() WITHIN GROUP (ORDER BY grade) FROM site WHERE grade IN (1, 2, NULL);
SELECT active, mode() WITHIN GROUP (ORDER BY region_id) FROM site GROUP BY active;
SELECT rank(3) WITHIN GROUP (ORDER BY grade) FROM site;
SELECT dense_rank(3) WITHIN GROUP (ORDER BY grade DESC) FROM site;
SELECT percent_rank(3) WITHIN GROUP (ORDER BY grade), cume_dist(3) WITHIN GROUP (ORDER BY grade) FROM site;
SELECT rank(2, true) WITHIN GROUP (ORDER BY grade, active) FROM site;
SELECT site_id FROM site WHERE grade > (SELECT percentile_cont(0.9) WITHIN GROUP (ORDER BY grade) FROM site);
-- expect: error
SELECT percentile_cont(1.5) WITHIN GROUP (ORDER BY grade) FROM site;
SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY name) FROM site;
SELECT mode() FROM site;
