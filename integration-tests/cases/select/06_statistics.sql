-- stddev, variance, correlation and regression: exact for integers and numeric, within rounding for floats.

-- case: exact
SELECT stddev(grade), stddev_samp(grade), stddev_pop(grade) FROM site;
SELECT variance(grade), var_samp(grade), var_pop(grade) FROM site;
SELECT stddev(area), variance(area), var_pop(area) FROM site;
SELECT stddev(qty), variance(amount), stddev_pop(amount) FROM visit;
SELECT stddev(site_id), var_pop(site_id) FROM site;
SELECT stddev(odd), variance(odd) FROM site;
SELECT stddev(odd), variance(odd) FROM site WHERE abs(odd) < 1000;
SELECT grade, stddev(area), var_pop(area), count(*) FROM site GROUP BY grade;
SELECT mood, stddev(amount) FROM visit GROUP BY mood ORDER BY mood;
SELECT stddev(grade), stddev_pop(grade), variance(grade) FROM site WHERE site_id = 4;
SELECT stddev(grade), var_pop(grade) FROM site WHERE grade > 100;
SELECT stddev(grade), var_pop(grade) FROM site WHERE grade = 5;
SELECT stddev(DISTINCT grade), var_pop(DISTINCT grade) FROM site;
SELECT stddev(grade) FILTER (WHERE active), variance(grade) FILTER (WHERE false) FROM site;
SELECT grade, count(*) FROM site GROUP BY grade HAVING stddev(area) > 350;
SELECT round(stddev(area), 3), stddev(area) > 300 FROM site;
SELECT grade FROM site GROUP BY grade ORDER BY variance(area) DESC LIMIT 3;

-- case: floats
-- compare: floats
SELECT stddev(drift), variance(drift), stddev_pop(drift), var_pop(drift) FROM site;
-- compare: floats
SELECT stddev(score), variance(score) FROM site WHERE score BETWEEN -1000 AND 1000;
SELECT stddev(score), var_pop(score) FROM site;
-- compare: floats
SELECT grade, stddev(drift), var_samp(drift) FROM site GROUP BY grade;
-- compare: floats
SELECT stddev(weight), variance(weight) FROM item WHERE weight < 1000;

-- case: two variables
-- compare: floats
SELECT corr(grade, site_id), covar_pop(grade, area), covar_samp(grade, area) FROM site WHERE site_id BETWEEN 0 AND 1000;
-- compare: floats
SELECT regr_slope(area, grade), regr_intercept(area, grade), regr_r2(area, grade) FROM site;
-- compare: floats
SELECT regr_count(area, grade), regr_avgx(area, grade), regr_avgy(area, grade) FROM site;
-- compare: floats
SELECT regr_sxx(area, grade), regr_syy(area, grade), regr_sxy(area, grade) FROM site;
-- compare: floats
SELECT active, corr(area, grade), regr_slope(drift, grade) FROM site GROUP BY active;
SELECT regr_count(amount, qty) FROM visit;
SELECT corr(grade, grade), regr_count(grade, NULL) FROM site WHERE grade = 3;
SELECT corr(area, grade), covar_samp(area, grade), regr_count(area, grade) FROM site WHERE grade > 100;
-- compare: floats
SELECT mood, covar_pop(amount, qty) FROM visit GROUP BY mood ORDER BY mood;
