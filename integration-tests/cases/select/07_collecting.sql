-- Aggregates that collect: strings, arrays, JSON, XML, ranges; where their order is defined.

-- case: strings
SELECT string_agg(code, ',' ORDER BY site_id) FROM site;
SELECT string_agg(name, '|' ORDER BY name, site_id) FROM site;
SELECT grade, string_agg(code, '' ORDER BY code DESC, site_id) FROM site GROUP BY grade;
SELECT grade, string_agg(site_id::text, ' ' ORDER BY site_id) AS ids FROM site GROUP BY grade ORDER BY grade;
SELECT string_agg(code, '-' ORDER BY site_id) FILTER (WHERE active) FROM site;
SELECT string_agg(code, NULL ORDER BY site_id) FROM site WHERE site_id < 9;
SELECT string_agg(blob, '\x00'::bytea ORDER BY sku) FROM item;
-- may refuse
SELECT length(string_agg('x', '')) FROM site;
SELECT mood, string_agg(guest, guest ORDER BY visit_id) FROM visit WHERE visit_id < 60 GROUP BY mood;
SELECT string_agg(code, ',' ORDER BY grade, site_id) FROM site GROUP BY active ORDER BY 1;

-- case: arrays
SELECT array_agg(site_id ORDER BY site_id) FROM site;
SELECT array_agg(grade ORDER BY grade NULLS FIRST, site_id) FROM site;
SELECT grade, array_agg(site_id ORDER BY site_id DESC) FROM site GROUP BY grade;
SELECT array_agg(mood ORDER BY visit_id) FROM visit WHERE visit_id < 40;
SELECT array_agg(tags ORDER BY site_id) FROM site WHERE cardinality(tags) = 2;
SELECT array_agg(ROW(site_id, grade) ORDER BY site_id) FROM site WHERE site_id < 7;
-- may refuse
SELECT array_length(array_agg(site_id), 1) FROM site;
SELECT (array_agg(site_id ORDER BY area DESC NULLS LAST, site_id))[1:3] FROM site;
SELECT array_agg(size ORDER BY sku) FROM item WHERE maker < 12;
SELECT array_agg(span ORDER BY sku) FROM item WHERE maker < 12;
SELECT array_agg(DISTINCT mood) FROM visit;
SELECT array_agg(at ORDER BY visit_id) FROM visit WHERE visit_id BETWEEN 29 AND 35;
-- may refuse
SELECT cardinality(array_agg(site_id) FILTER (WHERE false)) FROM site;
SELECT a FROM (SELECT array_agg(site_id ORDER BY site_id) AS a FROM site GROUP BY grade) q WHERE a[1] < 0;

-- case: JSON
SELECT json_agg(grade ORDER BY site_id) FROM site WHERE site_id BETWEEN 1 AND 30;
SELECT jsonb_agg(name ORDER BY site_id) FROM site;
SELECT jsonb_agg(s ORDER BY site_id) FROM site s WHERE site_id BETWEEN 20 AND 26;
SELECT json_agg(json_build_object('id', site_id, 'g', grade) ORDER BY site_id) FROM site WHERE grade = 5;
SELECT grade, jsonb_object_agg(site_id, code) FROM site GROUP BY grade;
SELECT json_object_agg(site_id, code ORDER BY site_id) FROM site WHERE grade = 2;
SELECT jsonb_agg(DISTINCT qty) FROM visit;
SELECT jsonb_agg(payload ORDER BY visit_id) FROM visit WHERE visit_id < 20;
SELECT active, json_agg(tags ORDER BY site_id) FROM site WHERE grade = 0 GROUP BY active;
SELECT row_to_json(s) FROM site s WHERE site_id IN (1, 2, 3);
SELECT to_jsonb(v) - 'at' FROM visit v WHERE visit_id < 5;

-- case: others
SELECT range_agg(span ORDER BY sku) FROM item;
SELECT range_intersect_agg(span) FROM item WHERE maker BETWEEN 20 AND 22 AND span IS NOT NULL;
SELECT xmlagg(xmlelement(name n, grade) ORDER BY site_id)::text FROM site WHERE site_id BETWEEN 1 AND 9;
-- expect: error
SELECT jsonb_object_agg(code, site_id) FROM site;
SELECT string_agg(grade, ',') FROM site;
