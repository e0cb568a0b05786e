"""Queries that both servers must answer alike: every built-in one, and a table of PromQL.

In the texts `$ns` is the namespace of a world, `$i` an interval, and `$m`, `$b`, `$g`, `$u` are the selectors of its
request counters, latency buckets, gauges and `up`; in capitals they lack the closing brace.
"""

from string import Template

_METRICS = {
    "m": "http_request_duration_seconds_count",
    "b": "http_request_duration_seconds_bucket",
    "g": "gauge",
    "u": "up",
}


def render(text: str, namespace: str, interval: str) -> str:
    """The query for one world."""
    names = {"ns": namespace, "i": interval, "W": f'namespace="{namespace}"'}
    for short, metric in _METRICS.items():
        names[short.upper()] = f'{metric}{{namespace="{namespace}"'
        names[short] = names[short.upper()] + "}"
    return Template(text).safe_substitute(names)


def _share(metric: str, which: str, good: str) -> str:
    return f"sum(rate({metric}{{{which},{good}}}[$i])) / sum(rate({metric}{{{which}}}[$i])) * 100"


def _p99(metric: str, which: str) -> str:
    return f"histogram_quantile(0.99, sum by (le) (rate({metric}_bucket{{{which}}}[$i])))"


def _mean(metric: str, which: str) -> str:
    return f"sum(rate({metric}_sum{{{which}}}[$i])) / sum(rate({metric}_count{{{which}}}[$i])) * 1000"


_PODS = 'kubernetes_namespace="$ns",kubernetes_pod_name=~"checkout-[0-9a-zA-Z]+(-[0-9a-zA-Z]+)"'
_DAEMON_PODS = 'kubernetes_namespace="$ns",kubernetes_pod_name=~"checkout-[0-9a-zA-Z]+"'
_ISTIO = 'reporter="destination",destination_workload_namespace="$ns",destination_workload=~"checkout"'
_LINKERD = 'namespace="$ns",deployment=~"checkout",direction="inbound"'
_OSM = 'destination_namespace="$ns",destination_kind="Deployment",destination_name="checkout"'
_CONTOUR = 'envoy_cluster_name=~"${ns}_checkout-canary_[0-9a-zA-Z-]+"'
_GLOO = 'envoy_cluster_name=~"$ns-checkout-canaryupstream-[0-9a-zA-Z-]+_[0-9a-zA-Z-]+"'
_KUMA = 'service=~"checkout-canary_${ns}_svc_[0-9a-zA-Z-]+"'
_KNATIVE = 'envoy_cluster_name=~"$ns/checkout-00001"'
_NGINX = 'namespace="$ns",ingress="edge",canary!=""'
_SKIPPER = 'route=~"kube(ew)?_${ns}__edge_canary__.*__checkout_canary(_[0-9]+)?"'
_TRAEFIK = 'service=~"$ns-checkout-canary-[0-9a-zA-Z-]+@kubernetescrd"'
_APISIX = 'route=~"${ns}_edge-rt-checkout-canary_.+"'
_ENVOY, _ENVOY_OK = "envoy_cluster_upstream_rq", 'envoy_response_code!~"5.*"'

BUILT_IN = (
    _share("http_request_duration_seconds_count", _PODS, 'status!~"5.*"'),
    _p99("http_request_duration_seconds", _PODS),
    _share("http_request_duration_seconds_count", _DAEMON_PODS, 'status!~"5.*"'),
    _p99("http_request_duration_seconds", _DAEMON_PODS),
    _share("istio_requests_total", _ISTIO, 'response_code!~"5.*"'),
    _p99("istio_request_duration_milliseconds", _ISTIO),
    _share("response_total", _LINKERD, 'classification!="failure"'),
    _p99("response_latency_ms", _LINKERD),
    *(_share(_ENVOY, which, _ENVOY_OK) for which in (_PODS, _CONTOUR, _GLOO, _KUMA, _KNATIVE)),
    *(_p99(f"{_ENVOY}_time", which) for which in (_PODS, _CONTOUR, _GLOO, _KUMA, _KNATIVE)),
    _share("osm_request_total", _OSM, 'response_code!~"5.*"'),
    _p99("osm_request_duration_ms", _OSM),
    _share("nginx_ingress_controller_requests", _NGINX, 'status!~"5.*"'),
    _mean("nginx_ingress_controller_response_duration_seconds", _NGINX),
    _share("skipper_response_duration_seconds_bucket", f'{_SKIPPER},le="+Inf"', 'code!~"5.."'),
    _mean("skipper_serve_route_duration_seconds", _SKIPPER),
    _share("traefik_service_request_duration_seconds_bucket", f'{_TRAEFIK},le="+Inf"', 'code!~"5.."'),
    _p99("traefik_service_request_duration_seconds", _TRAEFIK) + " * 1000",
    _share("apisix_http_status", _APISIX, 'code!~"5.."'),
    _p99("apisix_http_latency", f'type=~"request",{_APISIX}'),
    "vector(1)",
)

SELECTORS = r"""
$m
$M,status=~"2.."}
$M,status=~"2..|404"}
$M,status=~"20"}
$M,status!~"5.."}
$M,status=~".*"}
$M,status!=""}
$M,status=""}
$M,nope=""}
$M,nope!="x"}
$M,nope=~"|x"}
$M,status=~"(?i)ERROR"}
$M,status=~"[[:digit:]]+"}
$M,status=~"\\d+"}
$M,status=~`\d+`}
$M,status=~"\\w{5}"}
$M,status=~"^200$"}
$M,status!="200",status!="404"}
$M,pod=~"checkout-[a-z0-9]+-[^-]+"}
{__name__=~"http_request_duration_seconds_(sum|count)",$W}
{__name__=~".*_total",$W}
$m offset 10s
$m offset -10s
$m @ 1700000020
$m @ 1700000020.123 offset 5s
$m @ start()
$m @ end() offset 5s
$g[$i]
$m[$i] offset 10s
$m[$i:5s]
$m # a comment
"""

RANGES = r"""
rate($m[$i])
rate($m[$i] offset 20s)
rate($m[$i] @ 1700000040)
sum(rate($m[$i] @ end()))
increase($m[$i])
irate($m[$i])
delta($g[$i])
idelta($g[$i])
deriv($g[$i])
deriv($m[$i])
predict_linear($m[$i], 60)
resets($m[$i])
changes($m[$i])
changes($g[$i])
avg_over_time($m[$i])
avg_over_time($g[$i])
min_over_time($g[$i])
max_over_time($g[$i])
sum_over_time($g[$i])
sum_over_time($m[$i])
count_over_time($g[$i])
last_over_time($g[$i])
quantile_over_time(0.9, $g[$i])
quantile_over_time(0.5, $m[$i])
quantile_over_time(-1, $m[$i])
quantile_over_time(NaN, $m[$i])
stddev_over_time($m[$i])
stdvar_over_time($m[$i])
stddev_over_time($g[$i])
present_over_time($m[$i])
absent_over_time($m[$i])
absent_over_time(nope{$W,a="b"}[$i])
absent_over_time({$W,a="b",a="c",x=~"y"}[$i])
max_over_time(rate($m[30s])[$i:10s])
max_over_time(sum(rate($m[30s]))[$i:7s])
avg_over_time($m[$i:5s])
rate($m[$i:5s])
increase($m[$i:3s] offset 11s)
count_over_time(vector(time())[10m:1m] offset 90s)
count_over_time($m[3m:])
min_over_time(($m > 5)[$i:5s])
deriv(rate($m[20s])[$i:5s])
last_over_time($m[$i:5s])
rate(sum($m)[$i:5s])
rate({__name__=~"http.*_(sum|count)",$W}[$i])
last_over_time({__name__=~"http.*_(sum|count)",$W}[$i])
rate(nope[$i])
"""

AGGREGATIONS = r"""
sum($m)
sum by (status) ($m)
sum without (status) ($m)
sum by (__name__) ({__name__!~"scrape_.*",$W})
sum by (nope) ($m)
avg($g)
avg by (pod) ($m)
min($g)
max($g)
min by (pod) ($g)
count($m)
count by (pod, status) ($m)
group by (pod) ($m)
stddev($m)
stdvar by (pod) ($m)
stddev($g)
quantile(0.3, $m)
quantile by (pod) (0.9, $g)
quantile(1.5, $m)
quantile(NaN, $m)
count_values("v", $m)
count_values by (pod) ("v", $g)
count_values without (pod) ("pod", $g)
sum(nope)
"""

RANKINGS = r"""
topk(3, $m)
topk by (pod) (1, $m)
topk(2, rate($m[$i]))
topk(0, $m)
topk(-1, $m)
bottomk(2, $g)
topk(100, $g)
"""

OPERATORS = r"""
$m + 1
1 - $m
$m * 2 / 3 % 7
$m ^ 0.5
$m / 0
-$m
-$m ^ 2
$g % 3
$g % 0
$g ^ 3
($g * 0) ^ -1
2 ^ $g
$g atan2 2
$m > 10
10 > $m
$m > bool 10
10 <= bool $m
$m == $m
$m != bool $m
$g == $g
$g != $g
$m == on (pod, status) $m
$m + ignoring(status) $m
$m + $m
sum by (pod) ($m) / sum by (pod) ($m)
$m / on (pod) group_left () sum by (pod) ($m)
sum by (pod) ($m) / on (pod) group_right () $m
$m / on (pod) group_left (job) $u
$m / on (pod) group_left (nope) $u
$u * on (pod) group_right (job) $m
$m * on (pod) group_left () $m
$u / on (job) $m
$u > on (pod) group_left() $u
$m and on (pod) $u
$m and on () vector(1)
$m unless $m
$m unless on (pod, status) $M,status="200"}
$m or $u
$m or on (pod) $u
$u or on (pod) $m
$M,status="200"} or ignoring(status) $m
vector(1) or vector(2)
nope + 1
nope / $m
1 - sum(rate($M,status=~"5.."}[$i])) / sum(rate($m[$i]))
sum(rate($M,status="nope"}[$i])) or vector(0)
avg($m) by (pod) > 3 and on (pod) $u == 1
-{__name__=~"http.*_(sum|count)",$W}
{__name__=~"http.*_(sum|count)",$W} + 1
{__name__=~"http.*_(sum|count)",$W} > 1
{__name__=~"http.*_(sum|count)",$W} > bool 1
{__name__=~"http.*_(sum|count)",$W} + on(pod,status) group_left() $m
"""

SCALARS = r"""
1 + 2 * 3
1 / 0
0 / 0
-1 / 0
-1 % 2
5 % -3
2 ^ 3 ^ 2
-2 ^ 2
(-8) ^ (1/3)
0 ^ -1
1 == bool 1
1 > bool 2
NaN
-Inf
0x1F
1e-7
1e21
123456789012345678
1e300 * 1e300
2 atan2 3
"abc"
'a\'b'
"a\nb\t\x41\u00e9"
`raw\n`
time()
scalar($m)
scalar(sum($m))
scalar(nope)
"""

FUNCTIONS = r"""
absent($m)
absent(nope{$W,a="b"})
absent((nope{$W,a="b"}))
absent(nope{$W,a="b"} offset 1m)
absent(nope{$W,a="b"} @ 1700000000)
absent(sum(nope{$W}))
histogram_quantile(0.5, $b)
histogram_quantile(0.99, rate($b[$i]))
histogram_quantile(0.9, sum by (le, pod) (rate($b[$i])))
histogram_quantile(0, rate($b[$i]))
histogram_quantile(1, rate($b[$i]))
histogram_quantile(-1, rate($b[$i]))
histogram_quantile(2, rate($b[$i]))
histogram_quantile(NaN, rate($b[$i]))
histogram_quantile(0.5, {__name__=~".*_bucket",$W})
histogram_quantile(0.5, $m)
histogram_quantile(0.9, label_replace(rate($b[$i]), "le", "x", "le", "0.5"))
histogram_quantile(0.9, label_replace(rate($b[$i]), "le", "0.05", "le", "0.5"))
histogram_quantile(0.9, label_replace(rate($b[$i]), "le", "-1", "le", "0.005"))
histogram_quantile(0.01, label_replace(rate($b[$i]), "le", "-1", "le", "0.005"))
histogram_quantile(0.9, $B,le!="+Inf"})
histogram_quantile(0.9, $B,le="+Inf"})
histogram_quantile(0.9, -$b)
histogram_quantile(0.5, $b * NaN)
label_replace($m, "new", "$1-x", "pod", "checkout-(.*)")
label_replace($m, "new", "${1}x", "pod", "checkout-(.*)-(.*)")
label_replace($m, "new", "$1x", "pod", "checkout-(.*)-(.*)")
label_replace($m, "new", "$name$$$$", "pod", "(?P<name>.*)")
label_replace($m, "new", "", "pod", ".*")
label_replace($m, "pod", "", "pod", ".*")
label_replace($m, "status", "x", "status", ".*")
label_replace($m, "new", "x", "nope", "")
label_replace($m, "new", "$9", "pod", "(.*)")
label_replace($m, "__name__", "renamed", "pod", ".*")
label_join($m, "new", "-", "pod", "status")
label_join($m, "new", "-", "nope")
label_join($m, "new", ",")
timestamp($m)
timestamp($m offset 10s)
timestamp($m + 1)
timestamp(vector(5))
timestamp($m @ 1700000030)
timestamp({__name__=~"http.*_(sum|count)",$W})
vector(time())
abs($g)
abs({__name__=~"http.*_(sum|count)",$W})
ceil($g / 7)
floor($g / 7)
round($g / 7)
round($m / 7, 0.1)
round($m, 0)
exp($g)
exp($g / 100)
ln($g)
ln($m * 0)
log2($g)
log10($g)
sqrt($g)
sgn($g)
clamp($g, -5, 5)
clamp($g, 5, -5)
clamp($g, NaN, 5)
clamp_min($g, 3)
clamp_max($g, 3)
clamp_min($g, NaN)
sort($g)
sort_desc($g)
day_of_month()
day_of_week()
day_of_year()
days_in_month()
hour()
minute()
month()
year()
hour($m * 10000)
day_of_week(vector(1e9))
day_of_year(vector(1e9))
days_in_month(vector(951782400))
day_of_week(vector(-1))
minute(vector(-0.5))
"""

MISTAKES = r"""
sum($m
$m{
rate($m)
rate($m[$i]
sum()
sum($m, $m)
foo($m)
$m[0s]
$m[-1s]
$m[5x]
rate(rate($m[$i]))
sum(1)
$m and 1
1 and 2
$m + "a"
1 == 1
topk($m)
topk("a", $m)
topk(NaN, $m)
topk(1e30, $m)
count_values(1, $m)
count_values("a-b", $m)
histogram_quantile($m, $m)
label_replace($m)
label_replace($m, "a-b", "x", "pod", ".*")
label_replace($m, "a", "x", "pod", "(")
label_join($m, "a-b", ",", "pod")
label_join($m, "ab", ",", "p-od")
$M,status=~"("}
{}
{a=~".*"}
{a=""}
$m offset
$m @ foo
1 offset 5m
sum($m) offset 5m
$m on (pod)
sum by (a-b) ($m)
vector("x")
time(1)
absent()
scalar(1)
clamp($m, 1)
round($m, 1, 2)
a b
# only a comment
$m[$i][$i:]
sum($m)[$i]
"unclosed
$m bool 1
$m + bool 1
$m and bool $m
sum_over_time(time()[1m:10s])
"""

PROMQL = tuple(
    line
    for table in (SELECTORS, RANGES, AGGREGATIONS, OPERATORS, SCALARS, FUNCTIONS, MISTAKES)
    for line in table.strip().splitlines()
)

OVER_TIME = r"""
$m
$u
$g > 0
sum(rate($m[$i]))
histogram_quantile(0.9, sum by (le) (rate($b[$i])))
sum by (status) ($m) / on () group_left () sum($m)
time()
1
$m @ start()
$m @ end()
rate($m[$i] @ end())
max_over_time(sum(rate($m[30s]))[$i:7s])
absent($m)
absent_over_time($m[$i])
timestamp($m)
topk(100, $m)
$m[$i]
"a"
""".strip().splitlines()
