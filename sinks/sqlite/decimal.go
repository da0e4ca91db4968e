package sqlite

import (
	"database/sql/driver"
	"errors"
	"math/big"
	"strings"

	sqlite "modernc.org/sqlite"
)

// The functions by which decimals, which are stored as text, are merged, and overflows
// found.
const (
	functionAdd     = "sluice_decimal_add"
	functionCompare = "sluice_decimal_compare"

	functionOverflow = "sluice_overflow" // an error, where an integer overflows
)

// maxDigits is the most digits of a decimal.
const maxDigits = 38

var (
	errNoDecimal = errors.New("sluice: what is stored is not a decimal")
	errOverflow  = errors.New("sluice: the sum has more than 38 digits")
	errInteger   = errors.New("sluice: the sum is beyond 64 bits, or what is stored is no integer")
)

func registerDecimals(d *sqlite.Driver) error {
	err := d.RegisterDeterministicScalarFunction(functionAdd, 2, func(_ *sqlite.FunctionContext, args []driver.Value) (driver.Value, error) {
		a, b, scale, err := operands(args)
		if a == nil || b == nil || err != nil {
			return nil, err
		}
		return formatDecimal(a.Add(a, b), scale)
	})
	if err != nil {
		return err
	}
	err = d.RegisterDeterministicScalarFunction(functionOverflow, 1, func(*sqlite.FunctionContext, []driver.Value) (driver.Value, error) { return nil, errInteger })
	if err != nil {
		return err
	}
	return d.RegisterDeterministicScalarFunction(functionCompare, 2, func(_ *sqlite.FunctionContext, args []driver.Value) (driver.Value, error) {
		a, b, _, err := operands(args)
		if a == nil || b == nil || err != nil {
			return nil, err
		}
		return int64(a.Cmp(b)), nil
	})
}

// operands reads two decimals at the larger scale of the two; nil for null.
func operands(args []driver.Value) (a, b *big.Int, scale int, err error) {
	a, scaleA, err := parseDecimal(args[0])
	if err != nil {
		return nil, nil, 0, err
	}
	b, scaleB, err := parseDecimal(args[1])
	if err != nil || a == nil || b == nil {
		return nil, nil, 0, err
	}
	scale = max(scaleA, scaleB)
	return widen(a, scale-scaleA), widen(b, scale-scaleB), scale, nil
}

func widen(n *big.Int, digits int) *big.Int {
	if digits == 0 {
		return n
	}
	return n.Mul(n, new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(digits)), nil))
}

// parseDecimal reads what a column may hold: text, or an integer.
func parseDecimal(v driver.Value) (*big.Int, int, error) {
	switch v := v.(type) {
	case nil:
		return nil, 0, nil
	case int64:
		return big.NewInt(v), 0, nil
	case string:
		whole, fraction, _ := strings.Cut(v, ".")
		digits := whole + fraction
		plain := strings.TrimPrefix(strings.TrimPrefix(digits, "-"), "+")
		if plain == "" || len(plain) > 2*maxDigits || strings.Trim(plain, "0123456789") != "" {
			return nil, 0, errNoDecimal
		}
		n, ok := new(big.Int).SetString(digits, 10)
		if !ok {
			return nil, 0, errNoDecimal
		}
		return n, len(fraction), nil
	}
	return nil, 0, errNoDecimal
}

func formatDecimal(n *big.Int, scale int) (driver.Value, error) {
	digits := new(big.Int).Abs(n).String()
	if len(digits) > maxDigits {
		return nil, errOverflow
	}
	if len(digits) <= scale {
		digits = strings.Repeat("0", scale-len(digits)+1) + digits
	}
	text := digits
	if scale > 0 {
		text = digits[:len(digits)-scale] + "." + digits[len(digits)-scale:]
	}
	if n.Sign() < 0 {
		text = "-" + text
	}
	return text, nil
}
