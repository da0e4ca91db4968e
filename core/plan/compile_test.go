package plan_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/sluicekit/sluice/core/plan"
	"github.com/sluicekit/sluice/core/record"
)

// What people write wrong in where, and what they read then: offset, message,
// hint.
func TestWhereProblems(t *testing.T) {
	e := adEvents(t)
	for _, c := range []struct{ text, want string }{
		{` `, `0: the expression is empty`},
		{`type = 1`, `5: unexpected "="; write == to compare`},
		{`type <> 'a'`, `6: unexpected ">"; write !=`},
		{`type like 'a%'`, `5: unexpected "like"; write startsWith, endsWith or contains`},
		{`payload.valid AND true`, `14: unexpected "AND"; write and`},
		{`payload.campaign_id is null`, `20: unexpected "is"; write == nil or != nil`},
		{`type == 'a' or`, `14: the expression ends too early`},
		{`(((`, `3: the expression ends too early`},
		{`'abc`, `4: literal not terminated`},
		{"'\xff'", `0: the expression is not UTF-8`},
		{`1e400 > payload.price`, `6: the number is out of range`},
		{`99999999999999999999 > 1`, `21: the number is out of range`},
		{`1e99 > payload.price`, `0: the number has more than 38 digits; write float("…")`},
		{`payload.campaign_id ?? 0 > 5`, `25: ?? next to another operator needs parentheses`},

		{`typ == 'a'`, `0: no field typ; did you mean type?`},
		{`type == 'é' and typ == 'a'`, `17: no field typ; did you mean type?`},
		{`payload.prise > 1`, `8: no field payload.prise; did you mean payload.price?`},
		{`payload.items[0].prise > 1`, `17: no field payload.items[0].prise; did you mean payload.items[0].price?`},
		{`payload.COST > 1`, `8: no field payload.COST; did you mean payload.cost?`},
		{`zzz == 1`, `0: no field zzz; a text has quotes: "zzz"`},
		{`payload.campaign_id == null`, `23: no field null; write nil`},
		{`payload.items == nil`, `0: the type of payload.items is not declared; say what it is, such as int(payload.items) or string(payload.items), or declare it for the stream`},
		{`payload['a.b'] == nil`, `8: a name with a point or a bracket in it cannot be part of a path`},
		{`payload[type] == nil`, `8: an index is a number or a name in quotes`},
		{`payload.campaign_id() > 1`, `0: a field cannot be called`},
		{`lower(type).x == 'a'`, `0: only a field of the event has fields or elements`},

		{`type == 1`, `5: type (string) and int cannot be compared`},
		{`payload.tags == payload.tags`, `13: payload.tags (list(string)) and payload.tags (list(string)) cannot be compared`},
		{`payload.raw == 1`, `12: payload.raw (json) and int cannot be compared; say what it is, such as int(payload.raw) or string(payload.raw)`},
		{`time > 5`, `5: time (timestamp) and int cannot be compared`},
		{`time > 'yesterday'`, `7: timestamp("yesterday"): not an RFC 3339 time; write "2026-01-31T00:00:00Z"`},
		{`payload.price > payload.cost`, `14: payload.price (float) and payload.cost (decimal(18,6)) cannot be compared; write decimal(payload.price, p, s) to stay exact, or float(payload.cost)`},
		{`payload.cost + payload.price > 1`, `13: + cannot mix payload.cost (decimal(18,6)) and payload.price (float); write decimal(payload.price, p, s) to stay exact, or float(payload.cost)`},
		{`payload.valid < true`, `14: true and false have no order`},
		{`nil > 1`, `4: nil has no order; write == nil or != nil`},
		{`1 < payload.campaign_id < 5`, `24: comparisons cannot be chained; write a < b and b < c`},
		{`payload.campaign_id`, `0: where must be true or false, and this is payload.campaign_id (int)`},
		{`nil`, `0: where must be true or false, and this is nil`},
		{`not payload.campaign_id == 1`, `0: not takes true or false, and this is payload.campaign_id (int); not binds closer than == and <: write not (…)`},
		{`type and payload.valid`, `0: and takes true or false, and this is type (string)`},
		{`-type == 'a'`, `0: - takes a number, and this is type (string)`},
		{`type - 1 == 'a'`, `5: - takes two numbers, and these are type (string) and int`},
		{`payload.raw + 1 == 1`, `12: + takes two numbers, and these are payload.raw (json) and int; say what it is, such as int(payload.raw) or string(payload.raw)`},
		{`payload.price % 2 > 0`, `14: % takes integers, and these are payload.price (float) and float`},
		{`payload.campaign_id / 0 > 1`, `20: division by zero`},
		{`payload.campaign_id % (1 - 1) > 1`, `20: division by zero`},
		{`9223372036854775807 + 1 > 0`, `0: 9223372036854775807 + 1: overflow`},
		{`-uint('9223372036854775808') < 0`, `6: int(9223372036854775808): out of range`},
		{`type startsWith 5`, `5: startsWith takes two strings, and these are type (string) and int`},

		{`type in []`, `8: the list of in is empty`},
		{`type in 'a'`, `8: the right side of in is a list of values in brackets; write x in ["a", "b"]`},
		{`type in ['a', nil]`, `14: nil is in no list; write x == nil or x in […]`},
		{`type in ['a', 1]`, `14: type (string) and int cannot be compared`},
		{`[1] == 1`, `0: a list stands only on the right of in`},
		{`payload.valid ? 1 : 'a'`, `16: both sides of ?: must have one type, and these are int and string; cast one of them`},
		{`payload.valid ? nil : nil`, `16: ?: has no type: both sides are nil`},
		{`len(payload.tags ?? nil) > 1`, `17: ?? takes no list or map, and this is payload.tags (list(string)); cast it to json or string`},
		{`(payload.valid ? nil : payload.labels) == nil`, `17: ?: takes no list or map, and this is payload.labels (map(int)); cast it to json or string`},
		{`json(payload.valid ? payload.tags : payload.tags) == nil`, `21: ?: takes no list or map, and this is payload.tags (list(string)); cast it to json or string`},
		{`payload.valid ?: true`, `0: ?: needs something in the middle; write a ?? b for a where it is not nil`},
		{`type ? 1 : 2`, `0: the condition of ?: must be true or false, and this is type (string)`},
		{`payload.campaign_id ?? 'x'`, `20: both sides of ?? must have one type, and these are payload.campaign_id (int) and string; cast one of them`},

		{`lowr(type) == 'a'`, `0: no function lowr; did you mean lower?`},
		{`lower(5) == 'a'`, `6: lower takes a string, and this is int`},
		{`lower() == 'a'`, `0: lower with 0 arguments; write lower(x)`},
		{`abs(type)`, `4: abs takes a number, and this is type (string)`},
		{`round(payload.price, 2) > 1`, `6: round takes a decimal, and this is payload.price (float)`},
		{`round(payload.cost, 99) > 1`, `20: a number from 0 to 38 must stand here`},
		{`decimal(payload.price) > 1`, `0: decimal with 1 arguments; write decimal(x, precision, scale)`},
		{`decimal(payload.price, 5, 9) > 1`, `0: decimal(5,9): precision is 1 to 38, scale 0 to the precision`},
		{`timestamp(payload.campaign_id) > time`, `10: payload.campaign_id (int) cannot be cast to timestamp; say what the number counts: timestamp(s), timestamp(ms), timestamp(us) or timestamp(ns)`},
		{`timestamp(payload.price, 's') > time`, `10: payload.price (float) cannot be read as a timestamp(s); make it a decimal(p,s) first`},
		{`timestamp(payload.campaign_id, 'days') > time`, `31: one of "s", "ms", "us", "ns" must stand here`},
		{`truncate(time, 'week') == time`, `15: one of "year", "month", "day", "hour", "minute", "second" must stand here`},
		{`bool(payload.campaign_id)`, `5: payload.campaign_id (int) cannot be cast to bool`},

		{`type matches 'a'`, `5: no operator matches`},
		{`payload.campaign_id ** 2 > 1`, `20: no operator **`},
		{`1..3 == 2`, `1: no operator ..`},
		{`let x = 1; x > 0`, `4: there are no variables and no sequences: one expression must do`},
		{`true; false`, `0: there are no variables and no sequences: one expression must do`},
		{`payload.tags[1:2] == nil`, `12: there are no slices`},
		{`{a: 1} == nil`, `0: there are no maps in the text of an expression`},
		{`filter(payload.tags, # == 'a')`, `21: unexpected "#"`},
		{`if true {true} else {false}`, `3: unexpected "true"`},
	} {
		p, problems := plan.Compile(plan.Spec{Where: c.text, Fields: []plan.Field{{Name: "id", Expr: "id"}}}, e)
		if p != nil || len(problems) != 1 || problems[0].Part != "where" {
			t.Errorf("%s: plan %v, problems %v", c.text, p != nil, problems)
			continue
		}
		got := fmt.Sprintf("%d: %s", problems[0].Offset, problems[0].Message)
		if problems[0].Hint != "" {
			got += "; " + problems[0].Hint
		}
		if got != c.want {
			t.Errorf("%s\n got %s\nwant %s", c.text, got, c.want)
		}
	}
}

// JSON may hold any name: one that nobody declared may be a misspelt one.
func TestUndeclaredNames(t *testing.T) {
	e := typed(t, "id", "int", "payload.price", "float", "payload.user.country", "string")
	for _, anything := range []string{"p", "n", "t", "z"} { // all that these texts begin with
		e.untyped = anything
		for text, want := range map[string]string{
			"payload.prise > 1":          "did you mean payload.price? If not, say what it is, such as int(payload.prise) or string(payload.prise), or declare it for the stream",
			"payload.user.contry == 'x'": "did you mean payload.user.country? If not, say what it is, such as int(payload.user.contry) or string(payload.user.contry), or declare it for the stream",
			"payload.usr.country == 'x'": "did you mean payload.user? If not, say what it is, such as int(payload.usr.country) or string(payload.usr.country), or declare it for the stream",
			"payload.user[0] == 'x'":     "say what it is, such as int(payload.user[0]) or string(payload.user[0]), or declare it for the stream",
			"zzz == 1":                   "say what it is, such as int(zzz) or string(zzz), or declare it for the stream; a text has quotes: \"zzz\"",
			"null == 1":                  "write nil",
		} {
			if !strings.HasPrefix(text, anything) {
				continue
			}
			_, problems := plan.Compile(plan.Spec{Where: text, Fields: []plan.Field{{Name: "id", Expr: "id"}}}, e)
			if len(problems) != 1 || problems[0].Hint != want {
				t.Errorf("%s: %v", text, problems)
			}
		}
	}
}

// Nothing that reads a clock, draws a lot, orders a map or loops is a function.
func TestFunctionsAreAnAllowList(t *testing.T) {
	e := adEvents(t)
	for _, name := range []string{"now", "date", "duration", "timezone", "keys", "values", "toJSON", "fromJSON", "get", "all", "map", "reduce", "count", "sum", "type", "max", "repeat", "split", "groupBy", "toPairs"} {
		_, problems := plan.Compile(plan.Spec{Where: name + "(id) == 1", Fields: []plan.Field{{Name: "id", Expr: "id"}}}, e)
		if len(problems) != 1 || problems[0].Message != "no function "+name {
			t.Errorf("%s: %v", name, problems)
		}
	}
}

func TestProblemsComeAllAtOnce(t *testing.T) {
	_, problems := plan.Compile(plan.Spec{
		Where: `typ == 1 and payload.prise > 1 and lowr(server) == "a"`,
		Fields: []plan.Field{
			{Name: "a", Expr: "payload.cost", As: "decimal(99,1)"},
			{Name: "b", Expr: "payload.coast"},
			{Name: "b", Expr: "id"},
			{Name: "", Expr: "id"},
			{Name: "c", Expr: "payload.valid", As: "int"},
			{Name: "d", Expr: ""},
			{Name: "e", Expr: "nil"},
			{Name: "f", Expr: "payload.price"},
			{Name: "g", Expr: "payload.tags"},
		},
		Aggregate: &plan.Aggregate{By: []string{"f", "x", "g"}, Columns: []plan.Column{
			{Name: "s", Expr: "sum(g)"}, {Name: "t", Expr: "avg(f)"}, {Name: "u", Expr: "sum(f + 1)"}, {Name: "v", Expr: "last(f, f)"},
			{Name: "w", Expr: "min(ff)"}, {Name: "y", Expr: "f"}, {Name: "z", Expr: "count(f, g)"}, {Name: "f", Expr: "sum(f)"}, {Name: "f", Expr: "max(g)"},
		}},
	}, adEvents(t))
	var got []string
	for _, p := range problems {
		got = append(got, p.Error())
	}
	want := []string{
		`where: byte 0: no field typ; did you mean type?`,
		`where: byte 21: no field payload.prise; did you mean payload.price?`,
		`where: byte 35: no function lowr; did you mean lower?`,
		`fields.a.as: byte 0: decimal(99,1): precision is 1 to 38, scale 0 to the precision`,
		`fields.b: byte 8: no field payload.coast; did you mean payload.cost?`,
		`fields.b: byte 0: there is already a field b`,
		`fields.: byte 0: the name of a field has 1 to 255 bytes`,
		`fields.c.as: byte 0: payload.valid (bool) cannot be cast to int`,
		`fields.d: byte 0: the expression is empty`,
		`fields.e: byte 0: nil has no type; give it one with as`,
		`aggregate.by[0]: byte 0: f of type float cannot be grouped by; cast it to a string or a decimal`,
		`aggregate.by[1]: byte 0: no field x among the sink's fields; did you mean a, b or c?`,
		`aggregate.by[2]: byte 0: g of type list(string) cannot be grouped by; cast it to a string or a decimal`,
		`aggregate.columns.s: byte 0: g of type list(string) cannot be summed up`,
		`aggregate.columns.t: byte 0: no aggregate avg; write sum(x), count(), min(x), max(x) or last(x, by), with names of fields`,
		`aggregate.columns.u: byte 4: an aggregate takes the name of a field; make it a field and name that`,
		`aggregate.columns.w: byte 4: no field ff among the sink's fields; did you mean f?`,
		`aggregate.columns.y: byte 0: not an aggregate; write sum(x), count(), min(x), max(x) or last(x, by), with names of fields`,
		`aggregate.columns.z: byte 0: count with 2 arguments; write sum(x), count(), min(x), max(x) or last(x, by), with names of fields`,
		`aggregate.columns.f: byte 0: g of type list(string) has no order`,
		`aggregate.columns.v: byte 0: last(…, f) needs a column max(f) beside it, to know later which value is newer; add last_f: max(f)`,
	}
	for i := range max(len(got), len(want)) {
		switch {
		case i >= len(got):
			t.Errorf("missing: %s", want[i])
		case i >= len(want) || got[i] != want[i]:
			t.Errorf("%d: %s", i, got[i])
		}
	}
}

func TestBoundsOfExpressions(t *testing.T) {
	e := adEvents(t)
	for name, c := range map[string]struct{ text, want string }{
		"a long text":      {`type == "` + strings.Repeat("a", 40_000) + `"`, "the expression has 40010 bytes: at most 32768"},
		"many values":      {"payload.campaign_id in [" + strings.Repeat("1,", 6000) + "1]", "the expression has more than 5000 parts"},
		"a deep or":        {strings.Repeat("payload.valid or ", 1000) + "payload.valid", "the expression is nested deeper than 500"},
		"deep not":         {strings.Repeat("!", 1000) + "payload.valid", "the expression is nested deeper than 500"},
		"many parentheses": {strings.Repeat("(", 16_000), "the expression ends too early"},
		"a long path":      {"payload" + strings.Repeat(".x", 100), "a path of more than 64 steps"},
		"many bangs":       {strings.Repeat("!", 32_000), "the expression ends too early"},
	} {
		_, problems := plan.Compile(plan.Spec{Where: c.text, Fields: []plan.Field{{Name: "id", Expr: "id"}}}, e)
		if len(problems) != 1 || problems[0].Message != c.want {
			t.Errorf("%s: %d problems: %.300v", name, len(problems), problems)
		}
	}
	many := strings.Repeat("payload.valid or ", 300) + "payload.valid"
	mustCompile(t, plan.Spec{Where: many, Fields: []plan.Field{{Name: "id", Expr: "id"}}}, e)
	var fields []plan.Field
	for i := range 5000 {
		fields = append(fields, plan.Field{Name: fmt.Sprint("f", i), Expr: "id"})
	}
	if _, problems := plan.Compile(plan.Spec{Fields: fields}, e); len(problems) != 1 {
		t.Errorf("5000 fields: %d problems", len(problems))
	}
	if _, problems := plan.Compile(plan.Spec{}, e); len(problems) != 1 {
		t.Errorf("no fields: %v", problems)
	}
}

// A path that nobody declared is wanted as what a cast makes of it.
func TestUntypedPathsAreDeclaredByCasts(t *testing.T) {
	e := adEvents(t)
	e.untyped = "payload.extra"
	p := mustCompile(t, plan.Spec{
		Where: `string(payload.extra.kind) == "a" and timestamp(payload.extra.at, "ms") > "2026-01-01T00:00:00Z" and decimal(payload.extra.sum, 10, 2) > 1.5`,
		Fields: []plan.Field{
			{Name: "kind", Expr: "payload.extra.kind", As: "string"},
			{Name: "raw", Expr: "payload.extra.kind", As: "json"},
			{Name: "at", Expr: "payload.extra.at", As: "timestamp(ms)"},
			{Name: "seen", Expr: "payload.extra.seen", As: "timestamp"},
			{Name: "tags", Expr: "payload.extra.tags", As: "list(string)"},
			{Name: "cost", Expr: "payload.cost", As: "decimal(18,6)"},
		},
	}, e)
	var got []string
	for _, w := range p.Wants() {
		got = append(got, w.Path.String()+" "+w.Type.String())
	}
	want := []string{"payload.extra.kind string", "payload.extra.at int", "payload.extra.sum decimal(10,2)", "payload.extra.kind json", "payload.extra.seen timestamp", "payload.extra.tags list(string)", "payload.cost decimal(18,6)"}
	if !slices.Equal(got, want) {
		t.Errorf("wants %q\ninstead of %q", got, want)
	}
	var types []string
	for _, f := range p.Schema().Fields {
		types = append(types, f.Type.String())
	}
	if want := []string{"string", "json", "timestamp", "timestamp", "list(string)", "decimal(18,6)"}; !slices.Equal(types, want) {
		t.Errorf("fields %q instead of %q", types, want)
	}
}

func TestFieldsAll(t *testing.T) {
	e := adEvents(t)
	p := mustCompile(t, plan.Spec{All: true, Fields: []plan.Field{{Name: "day", Expr: `truncate(time, "day")`}}}, e)
	s := p.Schema()
	if len(s.Fields) != len(e.types)+1 || s.Fields[len(e.types)].Name != "day" {
		t.Fatalf("fields %v", s.Fields)
	}
	for i, n := range e.types {
		if s.Fields[i].Name != n.Name || !s.Fields[i].Type.Equal(n.Type) || !s.Fields[i].Nullable {
			t.Errorf("field %d is %v instead of %v", i, s.Fields[i], n)
		}
	}
	_, problems := plan.Compile(plan.Spec{All: true, Fields: []plan.Field{{Name: "id", Expr: "type"}}}, e)
	if len(problems) != 1 || problems[0].Part != "fields.id" {
		t.Errorf("a field twice: %v", problems)
	}
}

func TestTypeFilter(t *testing.T) {
	e := adEvents(t)
	for where, want := range map[string]string{
		``:                                "",
		`type == "a"`:                     "type [a]",
		`"a" == type`:                     "type [a]",
		`type in ["b", "a"]`:              "type [a b]",
		`server == "s" and type == "a"`:   "type [a]",
		`server == "s" and payload.valid`: "server [s]",
		`payload.valid and type == "a"`:   "type [a]",
		`payload.valid or type == "a"`:    "",
		`type != "a"`:                     "",
		`not (type == "a")`:               "",
		`type not in ["a"]`:               "",
		`type == server`:                  "",
		`1 / payload.campaign_id > 1 and type == "a"`: "type [a]", // where the id is 0 a row is bad only if its type is a
		`type == "a" and 1 / payload.campaign_id > 1`: "type [a]",
	} {
		p := mustCompile(t, plan.Spec{Where: where, Fields: []plan.Field{{Name: "id", Expr: "id"}}}, e)
		path, values, ok := p.TypeFilter()
		got := ""
		if ok {
			got = fmt.Sprint(path, " ", values)
		}
		if got != want {
			t.Errorf("%s: %q instead of %q", where, got, want)
		}
	}
}

func TestFingerprint(t *testing.T) {
	e := adEvents(t)
	print := func(s plan.Spec) string { return fmt.Sprintf("%x", mustCompile(t, s, e).Fingerprint()) }
	base := func() plan.Spec {
		return plan.Spec{
			Where:     `type in ["a", "b"] and payload.cost > 1.5`,
			Fields:    []plan.Field{{Name: "k", Expr: "payload.campaign_id"}, {Name: "v", Expr: "payload.cost", As: "decimal(20,6)"}, {Name: "t", Expr: "time"}},
			Aggregate: &plan.Aggregate{By: []string{"k"}, Columns: []plan.Column{{Name: "s", Expr: "sum(v)"}, {Name: "n", Expr: "count()"}}},
		}
	}
	// A changed fingerprint makes a batch that is pending over an upgrade a
	// batch of another plan: change printVersion and this value knowingly.
	if got, want := print(base()), "d1022eddd63193e6"; got != want {
		t.Errorf("the fingerprint is %s instead of %s", got, want)
	}
	same := base()
	same.Where = ` (type in  ['b','a', "a"]) && (1.50 < payload["cost"]) // as before`
	same.Where = strings.Replace(same.Where, `1.50 < payload["cost"]`, `payload["cost"] > 1.50`, 1)
	same.Fields[1] = plan.Field{Name: "v", Expr: "decimal( payload.cost,20 , 6)"}
	same.Aggregate.Columns[0].Expr = "sum( v )"
	if print(same) != print(base()) {
		t.Error("the same plan in other words has another fingerprint")
	}
	seen := map[string]string{print(base()): "the plan itself"}
	for name, change := range map[string]func(s *plan.Spec){
		"where":           func(s *plan.Spec) { s.Where = `type in ["a", "c"] and payload.cost > 1.5` },
		"no where":        func(s *plan.Spec) { s.Where = "" },
		"a constant":      func(s *plan.Spec) { s.Where = `type in ["a", "b"] and payload.cost > 1.6` },
		"an operator":     func(s *plan.Spec) { s.Where = `type in ["a", "b"] and payload.cost >= 1.5` },
		"a path":          func(s *plan.Spec) { s.Fields[2].Expr = "timestamp(server)" },
		"a name":          func(s *plan.Spec) { s.Fields[2].Name = "u" },
		"a cast":          func(s *plan.Spec) { s.Fields[1].As = "decimal(21,6)" },
		"an order":        func(s *plan.Spec) { s.Fields[1], s.Fields[2] = s.Fields[2], s.Fields[1] },
		"a field less":    func(s *plan.Spec) { s.Fields = s.Fields[:2] },
		"an aggregate":    func(s *plan.Spec) { s.Aggregate.Columns[0].Expr = "max(v)" },
		"another":         func(s *plan.Spec) { s.Aggregate.Columns[1].Expr = "count(v)" },
		"no aggregate":    func(s *plan.Spec) { s.Aggregate = nil },
		"another key":     func(s *plan.Spec) { s.Aggregate.By = []string{"k", "t"} },
		"a column's name": func(s *plan.Spec) { s.Aggregate.Columns[1].Name = "m" },
	} {
		s := base()
		change(&s)
		if other, ok := seen[print(s)]; ok {
			t.Errorf("%s has the fingerprint of %s", name, other)
		}
		seen[print(s)] = name
	}
}

func TestSchemaOfAggregate(t *testing.T) {
	p := mustCompile(t, plan.Spec{
		Fields: []plan.Field{{Name: "k", Expr: "payload.campaign_id"}, {Name: "c", Expr: "payload.cost"}, {Name: "at", Expr: "time"}, {Name: "n", Expr: "payload.clicks"}, {Name: "p", Expr: "payload.price"}, {Name: "s", Expr: "type"}},
		Aggregate: &plan.Aggregate{By: []string{"s", "k"}, Columns: []plan.Column{
			{Name: "a", Expr: "sum(c)"}, {Name: "b", Expr: "count()"}, {Name: "d", Expr: "min(c)"}, {Name: "e", Expr: "max(at)"}, {Name: "f", Expr: "last(p, at)"}, {Name: "g", Expr: "sum(n)"}, {Name: "h", Expr: "sum(p)"}, {Name: "i", Expr: "count(p)"}}},
	}, adEvents(t))
	var got []string
	for _, f := range p.Schema().Fields {
		got = append(got, fmt.Sprintf("%s %s %v %d %s", f.Name, f.Type, f.Nullable, f.Merge, f.Order))
	}
	want := []string{
		fmt.Sprintf("s string false %d ", record.MergeKey), fmt.Sprintf("k int false %d ", record.MergeKey),
		fmt.Sprintf("a decimal(38,6) false %d ", record.MergeAdd), fmt.Sprintf("b int false %d ", record.MergeAdd),
		fmt.Sprintf("d decimal(18,6) true %d ", record.MergeMin), fmt.Sprintf("e timestamp true %d ", record.MergeMax),
		fmt.Sprintf("f float true %d e", record.MergeLast), fmt.Sprintf("g uint false %d ", record.MergeAdd),
		fmt.Sprintf("h float false %d ", record.MergeAdd), fmt.Sprintf("i int false %d ", record.MergeAdd),
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q\ninstead of %q", got, want)
	}
	if keys := p.Keys(); !slices.Equal(keys, []string{"s", "k"}) || !p.Grouped() {
		t.Errorf("keys %q", keys)
	}
	plain := mustCompile(t, plan.Spec{Fields: []plan.Field{{Name: "k", Expr: "id"}}}, adEvents(t))
	if plain.Keys() != nil || plain.Grouped() || plain.NewGrouper() != nil || plain.Schema() != plain.Rows() {
		t.Error("a plan without an aggregate has one")
	}
}

func TestParseType(t *testing.T) {
	for text, want := range map[string]string{
		"int": "int", " decimal( 18 , 6 ) ": "decimal(18,6)", "timestamp": "timestamp", "timestamp(ms)": "timestamp ms", "json": "json",
		"list(map(decimal(3,1)))": "list(map(decimal(3,1)))",
		"integer":                 "!", "decimal": "!", "decimal(39,1)": "!", "decimal(5,6)": "!", "decimal(0,0)": "!", "timestamp(min)": "!", "list": "!", "list(timestamp(s))": "!", "int(5)": "!", "int(": "!", "": "!", "invalid": "!",
		strings.Repeat("list(", 1000): "!", "list(list(list(int)))": "list(list(list(int)))",
	} {
		typ, unit, err := plan.ParseType(text)
		got := strings.TrimSpace(typ.String() + " " + unit)
		if err != nil {
			got = "!"
		}
		if got != want {
			t.Errorf("%q: %s instead of %s (%v)", text, got, want, err)
		}
	}
}

func TestNearest(t *testing.T) {
	names := []string{"campaign_id", "campaignId", "price", "prices", "time", "type", "server"}
	for name, want := range map[string][]string{
		"prics": {"price", "prices"}, "tpye": {"type"}, "CAMPAIGN_ID": {"campaign_id", "campaignId"}, "zzz": nil, "": nil, strings.Repeat("x", 200): nil,
	} {
		if got := plan.Nearest(name, names); !slices.Equal(got, want) {
			t.Errorf("%s: %q instead of %q", name, got, want)
		}
	}
}
